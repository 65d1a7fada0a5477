/**
 * Entry of the worker threads.
 */
import { workerMain } from './engine/worker-main.js'
import { loadFunctions } from './pipeline/module.js'
import { registry } from './registry.js'

await workerMain(registry, loadFunctions)
