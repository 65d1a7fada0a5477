/**
 * Failures of S3 requests as errors users can act on: what was done to which address, what the server said.
 */
import { GristmillError } from '../core/errors.js'

interface SdkError extends Error {
  readonly code?: string
  readonly $metadata?: { readonly httpStatusCode?: number; readonly attempts?: number }
}

const CREDENTIALS_HINT =
  'set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE with a profile of ~/.aws/credentials'

const HINTS: Readonly<Record<string, string>> = {
  NoSuchBucket: 'check the bucket name; buckets are not created for you',
  AccessDenied: 'the credentials may not do this; check the bucket policy',
  InvalidAccessKeyId: CREDENTIALS_HINT,
  SignatureDoesNotMatch: 'check AWS_SECRET_ACCESS_KEY',
  ExpiredToken: 'the session has expired; log in again',
  PermanentRedirect: 'the bucket lies in another region; set AWS_REGION',
  ECONNREFUSED: 'nothing answers at the endpoint; check AWS_ENDPOINT_URL_S3 and that the server runs',
  ENOTFOUND: 'the host is unknown; check AWS_ENDPOINT_URL_S3, AWS_REGION and the network',
}

/** `doing` says what was done to what, as in "read s3://bucket/key". */
export function storeError(doing: string, cause: unknown): GristmillError {
  if (cause instanceof GristmillError) return cause
  const error = cause as SdkError
  if (error.name === 'CredentialsProviderError') {
    const message = `cannot ${doing}: no credentials were found`
    return new GristmillError('GM_STORE', message, { hint: CREDENTIALS_HINT, cause })
  }
  const status = statusOf(cause)
  // A failed HEAD has no body to name the error, and a refused connection no message.
  const name = error.name === 'Unknown' || error.name === 'UnknownError' ? '' : (error.code ?? error.name)
  const said = [name, error.message === 'UnknownError' ? '' : error.message].filter(Boolean).join(': ')
  const message = `cannot ${doing}: ${said || 'the server gave no reason'}${status === undefined ? '' : ` (HTTP ${status})`}`
  const hint = HINTS[name] ?? (status === 403 ? HINTS['AccessDenied'] : undefined)
  return new GristmillError('GM_STORE', message, { cause, ...(hint !== undefined && { hint }) })
}

/** The HTTP status of a failed request, undefined when no answer came. */
export function statusOf(error: unknown): number | undefined {
  return (error as SdkError).$metadata?.httpStatusCode
}

/** How often the SDK sent a request that failed in the end. */
export function attemptsOf(error: unknown): number {
  return (error as SdkError).$metadata?.attempts ?? 1
}
