/**
 * The `tfrecord` source: files of `tf.train.Example` records, as TensorFlow writes them.
 *
 * The position of a row is the byte where its record starts. A record with a wrong checksum goes to quarantine;
 * behind a wrong length nothing more of the file can be found.
 */
import { z } from 'zod'
import { splitName } from './compression.js'
import { defineItemSource } from './item-source.js'

const options = z.strictObject({
  compression: z
    .enum(['auto', 'none', 'gzip', 'zstd'])
    .default('auto')
    .describe('how files are compressed; auto: as their name says, none without .gz or .zst at its end'),
  lists: z
    .array(z.string())
    .default([])
    .describe('features that are lists although the sample may show one value of each at most'),
})

export const tfrecord = defineItemSource({
  name: 'tfrecord',
  extensions: ['.tfrecord', '.tfrecords', '.tfrec'],
  options,
  native: ({ format }) => ({ format: 'tfrecord', lists: options.parse(format).lists }),
  // A record's length may look like the first bytes of a compressed file.
  compression: (file, { format }) => {
    const { compression } = options.parse(format)
    const stated = compression === 'auto' ? splitName(file.path).compression : compression
    return stated === 'none' ? 'never' : stated
  },
})
