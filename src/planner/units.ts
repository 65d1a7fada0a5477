/** Units the planner computes in. */
export const GIB = 2 ** 30
export const MIB = 2 ** 20
