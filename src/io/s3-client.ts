/**
 * The S3 client of a run: the AWS SDK, loaded on use, set up to work with AWS and with other servers.
 *
 * Endpoint, region and credentials come from where every AWS tool looks: `AWS_*` variables and the shared
 * configuration files.
 */
import { isMainThread } from 'node:worker_threads'
import type { S3Client, S3ClientConfig } from '@aws-sdk/client-s3'
import { importPeer } from '../core/peers.js'

type Sdk = typeof import('@aws-sdk/client-s3')

/** The SDK with a client of it. */
export interface S3 {
  readonly sdk: Sdk
  readonly client: S3Client
}

/** Where no region is configured: what servers that are not AWS accept, and where AWS redirects from. */
const DEFAULT_REGION = 'us-east-1'

/** Loads the SDK and makes a client; GM_PEER_MISSING when the SDK is not installed. */
export async function connectS3(): Promise<S3> {
  // The SDK warns of its plans for old versions of Node once a thread; once a run is enough.
  if (!isMainThread) process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true'
  const sdk = await importPeer<Sdk>('@aws-sdk/client-s3')
  const base: S3ClientConfig = {
    // CRC32 trailers on every request, the SDK's default, are refused by older servers of other makers.
    ...(!process.env['AWS_REQUEST_CHECKSUM_CALCULATION'] && { requestChecksumCalculation: 'WHEN_REQUIRED' }),
    ...(!process.env['AWS_RESPONSE_CHECKSUM_VALIDATION'] && { responseChecksumValidation: 'WHEN_REQUIRED' }),
    followRegionRedirects: true,
  }
  const probe = new sdk.S3Client(base)
  try {
    const region = await probe.config.region().catch(() => DEFAULT_REGION)
    // `bucket.host` needs DNS that servers at an endpoint of one's own rarely have; `host/bucket` always works.
    const ownEndpoint = await configuredEndpoint(probe)
    return { sdk, client: new sdk.S3Client({ ...base, region, forcePathStyle: ownEndpoint !== undefined }) }
  } finally {
    probe.destroy()
  }
}

/** The endpoint from `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL` or the configuration file. */
async function configuredEndpoint(client: S3Client): Promise<string | undefined> {
  const config = client.config as { serviceConfiguredEndpoint?: () => Promise<string | undefined> }
  return config.serviceConfiguredEndpoint?.()
}
