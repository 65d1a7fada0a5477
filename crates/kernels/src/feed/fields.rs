//! What a batch is made of: its fields, their types, and where each lies in a buffer.

use serde::{Deserialize, Serialize};

/// Label of a position that no loss is taken at, as `PyTorch` has it in `ignore_index`.
pub const IGNORED: i32 = -100;

/// Fields start at multiples of this many bytes.
pub const ALIGNMENT: usize = 64;

/// A matrix of a batch: a row for each sequence, a column for each position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    /// Token ids; the padding id after a sequence's end.
    Tokens,
    /// What a model should predict at each position, −100 where there is nothing to predict.
    Labels,
    /// Place of each token in its document, or in its sequence.
    PositionIds,
    /// Whether a loss is taken at each position.
    LossMask,
    /// Whether each position is a token and not padding.
    AttentionMask,
}

/// How the numbers of a field are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dtype {
    /// 32-bit signed.
    Int32,
    /// 64-bit signed.
    Int64,
    /// A byte of 0 or 1.
    Bool,
    /// IEEE 754, 16 bits.
    Float16,
    /// The upper half of a `Float32`.
    BFloat16,
    /// IEEE 754, 32 bits.
    Float32,
}

impl Dtype {
    /// Bytes of a number.
    #[must_use]
    pub fn bytes(self) -> usize {
        match self {
            Self::Bool => 1,
            Self::Float16 | Self::BFloat16 => 2,
            Self::Int32 | Self::Float32 => 4,
            Self::Int64 => 8,
        }
    }
}

/// How the numbers of each field are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub struct Dtypes {
    /// 32 or 64 bits.
    pub tokens: Dtype,
    /// 32 or 64 bits.
    pub labels: Dtype,
    /// 32 or 64 bits.
    pub position_ids: Dtype,
    /// Any.
    pub loss_mask: Dtype,
    /// Any.
    pub attention_mask: Dtype,
    /// Any; added to scores where it is a float.
    #[serde(default = "Dtypes::truth")]
    pub causal_mask: Dtype,
}

impl Dtypes {
    fn truth() -> Dtype {
        Dtype::Bool
    }

    /// Type of a field.
    #[must_use]
    pub fn of(&self, field: Field) -> Dtype {
        match field {
            Field::Tokens => self.tokens,
            Field::Labels => self.labels,
            Field::PositionIds => self.position_ids,
            Field::LossMask => self.loss_mask,
            Field::AttentionMask => self.attention_mask,
        }
    }
}

/// What is made of the sequences of a batch, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub struct Making {
    /// The fields, in the order of the buffer.
    pub fields: Vec<Field>,
    /// Their types.
    pub dtypes: Dtypes,
    /// Labels are the next token, else the token itself.
    pub shift_labels: bool,
    /// Documents of one sequence do not see each other, so nothing is predicted across them.
    pub mask_documents: bool,
    /// Positions begin anew with each document.
    pub reset_positions: bool,
    /// Id after a sequence's end.
    pub pad_id: u32,
}

impl Making {
    /// Type of a field.
    #[must_use]
    pub fn dtype_of(&self, field: Field) -> Dtype {
        self.dtypes.of(field)
    }

    /// First byte of each field in a buffer for `positions` positions, and the bytes of the buffer.
    #[must_use]
    pub fn layout(&self, positions: usize) -> (Vec<usize>, usize) {
        let mut end = 0_usize;
        let offsets = self
            .fields
            .iter()
            .map(|&field| {
                let from = end.next_multiple_of(ALIGNMENT);
                end = from + positions * self.dtype_of(field).bytes();
                from
            })
            .collect();
        (offsets, end.next_multiple_of(ALIGNMENT))
    }
}
