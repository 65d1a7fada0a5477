/**
 * The `webdataset` source: tar archives whose members, put together by name, are rows with a column for each
 * extension.
 *
 * The position of a row is the byte of the archive where its first member starts.
 */
import { z } from 'zod'
import { defineItemSource } from './item-source.js'

export const webdataset = defineItemSource({
  name: 'webdataset',
  extensions: ['.tar', '.tgz'],
  options: z.strictObject({}),
  native: () => ({ format: 'webdataset' }),
})
