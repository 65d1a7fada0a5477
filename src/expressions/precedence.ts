/**
 * How tightly each kind of expression binds, from loose to tight; what binds less is put in parentheses.
 */
export const OR = 1
export const AND = 2
export const NOT = 3
export const COMPARE = 4
export const SUM = 5
export const PRODUCT = 6
export const MINUS = 7
export const ATOM = 8
