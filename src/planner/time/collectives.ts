/**
 * Seconds of collectives by topology: bandwidth and latency over the links a group of ranks really uses.
 *
 * Groups are described by how many members share a scale-up domain (NVLink, ICI) and how many such domains they
 * span. Large messages follow the slowest link; small ones the number of hops.
 */
import type { Cluster } from '../types.js'
import type { Calibration } from './calibration.js'

/** Ranks that communicate, and how they lie on the machine. */
export interface Group {
  readonly size: number
  /** Members within one scale-up domain. */
  readonly inside: number
}

/**
 * Members of a group whose ranks are `stride` apart: tensor parallelism has stride 1, and the next dimension the
 * product of those before (Megatron's order tp, cp, ep, dp, pp).
 */
export function groupOf(size: number, stride: number, domain: number): Group {
  return { size, inside: Math.max(1, Math.min(size, Math.floor(domain / stride))) }
}

export interface Links {
  /** Bytes a second and GPU, one direction, as collectives reach them. */
  readonly inside: number
  readonly outside: number
  /** Seconds a hop. */
  readonly insideHop: number
  readonly outsideHop: number
  /** NVLink switches reduce in the network (NVLS, SHARP), from Hopper on. */
  readonly reduceInSwitch: boolean
  readonly contention: number
}

export function linksOf(cluster: Cluster, calibration: Calibration): Links {
  const { gpu } = cluster
  return {
    inside: gpu.scaleUp.gbs * 1e9 * calibration.linkShare.inside,
    outside: cluster.interGbs * 1e9 * calibration.linkShare.outside,
    insideHop: gpu.scaleUp.latencyUs * 1e-6,
    outsideHop: gpu.scaleOut.latencyUs * 1e-6,
    reduceInSwitch: gpu.scaleUp.kind === 'nvlink' && cluster.scaleUpGpus > 1 && gpu.scaleUp.gbs >= 400,
    contention: calibration.contention,
  }
}

export type Collective = 'all-gather' | 'reduce-scatter' | 'all-reduce' | 'all-to-all'

/**
 * An all-reduce in the switch sends and receives the buffer once, at a lower rate than copies: NCCL reports 480 GB/s of
 * bus bandwidth on eight H100 (nccl-tests, NVLS), which is 274 of the links' 450.
 */
const SWITCH_RATE = 0.8

/**
 * `bytes` is the whole buffer: what every rank holds after an all-gather or before a reduce-scatter, and what one
 * rank sends in an all-to-all.
 *
 * Rings move (n−1)/n of it once, an all-reduce twice (Patarasu and Yuan 2009; Thakur et al. 2005). Over several
 * domains each GPU has its own network card, so rings of the same local rank run side by side and the traffic
 * that crosses is divided by the members inside: an all-gather receives (n−1)/n of the buffer, of which each card
 * brings 1/inside. Inside and outside overlap in a pipelined ring; the slower one counts. Trees make the latency
 * logarithmic (NCCL), once rings would take longer.
 */
export function collectiveSeconds(kind: Collective, bytes: number, group: Group, links: Links): number {
  if (group.size <= 1 || bytes === 0) return 0
  if (kind === 'all-to-all') return allToAllSeconds(bytes, group, links)
  const passes = kind === 'all-reduce' ? 2 : 1
  const { size, inside } = group
  const domains = Math.ceil(size / inside)
  const withinS =
    kind === 'all-reduce' && links.reduceInSwitch && domains === 1
      ? bytes / (links.inside * SWITCH_RATE)
      : inside > 1
        ? (passes * bytes * (inside - 1)) / inside / links.inside
        : 0
  const acrossS = domains > 1 ? (passes * bytes * (domains - 1)) / domains / inside / acrossRate(domains, links) : 0
  return Math.max(withinS, acrossS) + passes * latency(group, domains, links)
}

/** Rings over a large network share switches: the rate per card falls with the number of domains. */
function acrossRate(domains: number, links: Links): number {
  return links.outside / (1 + links.contention * Math.log2(domains))
}

function latency({ inside }: Group, domains: number, links: Links): number {
  const hops = (n: number, hop: number): number => Math.min(n - 1, 2 * Math.ceil(Math.log2(Math.max(1, n)))) * hop
  return hops(inside, links.insideHop) + hops(domains, links.outsideHop)
}

/** Each member sends 1/n of its bytes to every other; what stays inside does not touch the network cards. */
function allToAllSeconds(bytes: number, { size, inside }: Group, links: Links): number {
  const within = (bytes * (inside - 1)) / size / links.inside
  const across = (bytes * (size - inside)) / size / links.outside
  const domains = Math.ceil(size / inside)
  return Math.max(within, across) + links.insideHop * 4 + (domains > 1 ? links.outsideHop * 4 : 0)
}

/** One message to a neighbour. */
export function sendSeconds(bytes: number, crossesDomain: boolean, links: Links): number {
  return crossesDomain ? bytes / links.outside + links.outsideHop : bytes / links.inside + links.insideHop
}
