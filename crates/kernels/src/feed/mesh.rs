//! Which part of a global batch a rank of a parallel training run gets.

use crate::error::{KernelError, Result};

/// Sizes of the axes of a device mesh: data, tensor, pipeline and context parallel.
///
/// Ranks count through the axes with `tp` fastest, then `cp`, `dp` and `pp`, as Megatron-LM's default
/// order and torchtitan's meshes do. All ranks that differ in `tp` and `pp` alone get the same batches;
/// ranks along `cp` get slices of the same sequences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mesh {
    /// Data parallel: replicas of the model, each with samples of its own.
    pub dp: u32,
    /// Tensor parallel.
    pub tp: u32,
    /// Pipeline parallel.
    pub pp: u32,
    /// Context parallel.
    pub cp: u32,
}

/// A rank's place on the axes that matter for data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Place along `dp`.
    pub dp: u32,
    /// Place along `cp`.
    pub cp: u32,
}

impl Mesh {
    /// A mesh of replicas only.
    #[must_use]
    pub fn replicas(dp: u32) -> Self {
        Self { dp, tp: 1, pp: 1, cp: 1 }
    }

    /// Ranks of the mesh.
    #[must_use]
    pub fn world_size(&self) -> u64 {
        [self.dp, self.tp, self.pp, self.cp].into_iter().map(u64::from).product()
    }

    /// Where `rank` sits.
    ///
    /// # Errors
    /// `Option` when an axis is 0 or the rank is outside.
    pub fn place(&self, rank: u32) -> Result<Place> {
        let world = self.world_size();
        if world == 0 {
            return Err(KernelError::Option {
                name: "mesh".to_owned(),
                reason: "an axis has size 0; the least is 1".to_owned(),
            });
        }
        if u64::from(rank) >= world {
            return Err(KernelError::Option {
                name: "rank".to_owned(),
                reason: format!("{rank} is outside a world of {world}; ranks count from 0"),
            });
        }
        let along_cp = rank / self.tp;
        Ok(Place { dp: along_cp / self.cp % self.dp, cp: along_cp % self.cp })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn model_parallel_ranks_share_a_place() {
        let mesh = Mesh { dp: 2, tp: 2, pp: 2, cp: 2 };
        let places: Vec<_> = (0..16).map(|rank| mesh.place(rank).unwrap()).map(|p| (p.dp, p.cp)).collect();
        let stage = [(0, 0), (0, 0), (0, 1), (0, 1), (1, 0), (1, 0), (1, 1), (1, 1)];
        assert_eq!(places, [stage, stage].concat());
    }

    #[test]
    fn what_is_outside_is_refused() {
        assert_eq!(Mesh::replicas(2).place(2).unwrap_err().code(), "GM_CONFIG");
        assert_eq!(Mesh::replicas(0).place(0).unwrap_err().code(), "GM_CONFIG");
    }
}
