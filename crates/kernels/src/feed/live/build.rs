//! Makes a block out of the batches that leave a chain of steps.

use std::fs::File;

use arrow_array::cast::AsArray;
use arrow_array::types::UInt32Type;
use arrow_array::{Array, ListArray};

use super::block::{BlockCounts, HEADER_BYTES, MAGIC};
use super::memory::anonymous;
use crate::batch::Batch;
use crate::error::{KernelError, Result};
use crate::formats::megatron::U16_VOCABULARY;
use crate::pack::window::PIECE_BYTES;
use crate::pack::{PackOptions, pack};
use crate::tokenize::TOKENS;

/// Documents on their way into a block.
#[derive(Debug)]
pub struct BlockBuilder {
    wide: bool,
    lengths: Vec<u32>,
    /// Ids as they lie in the block.
    ids: Vec<u8>,
}

/// A finished block.
#[derive(Debug)]
pub struct BuiltBlock {
    /// Its memory.
    pub memory: File,
    /// Bytes of it.
    pub bytes: u64,
}

impl BlockBuilder {
    /// A block of ids of a vocabulary of so many; see [`U16_VOCABULARY`].
    #[must_use]
    pub fn new(vocabulary_size: u32) -> Self {
        Self { wide: vocabulary_size >= U16_VOCABULARY, lengths: Vec::new(), ids: Vec::new() }
    }

    /// Appends the selected rows of a batch.
    ///
    /// # Errors
    /// `ColumnMissing` or `ColumnType` when there is no list column `tokens` of u32; `Format` when an id
    /// does not fit the width that the vocabulary's size asks for.
    pub fn write(&mut self, batch: &Batch) -> Result<()> {
        let mut batch = batch.clone();
        batch.compact()?;
        let list: &ListArray = batch.typed(TOKENS, "list of u32")?;
        let values =
            list.values().as_primitive_opt::<UInt32Type>().ok_or_else(|| KernelError::ColumnType {
                name: TOKENS.to_owned(),
                expected: "list of u32".to_owned(),
                got: list.data_type().to_string(),
            })?;
        let offsets = list.offsets();
        self.lengths.extend(offsets.windows(2).map(|ends| (ends[1] - ends[0]).cast_unsigned()));
        let at = |offset: i32| offset.cast_unsigned() as usize;
        let ids = &values.values()[at(offsets[0])..at(offsets[offsets.len() - 1])];
        let highest = if self.wide { i32::MAX.cast_unsigned() } else { u16::MAX.into() };
        if let Some(id) = ids.iter().find(|&&id| id > highest) {
            let reason = format!("id {id} is above {highest}, the highest of this vocabulary's width");
            return Err(KernelError::format("block", reason));
        }
        if self.wide {
            self.ids.extend(ids.iter().flat_map(|id| id.to_le_bytes()));
        } else {
            self.ids.extend(ids.iter().flat_map(|&id| (id as u16).to_le_bytes()));
        }
        Ok(())
    }

    /// Documents so far.
    #[must_use]
    pub fn documents(&self) -> u64 {
        self.lengths.len() as u64
    }

    /// Packs the documents and puts the block into anonymous memory. The rows, removed and quarantined of
    /// `counts` are taken as they are.
    ///
    /// # Errors
    /// As [`pack`] and [`anonymous`].
    pub fn finish(self, options: PackOptions, counts: BlockCounts) -> Result<BuiltBlock> {
        let packed = pack(&self.lengths, options)?;
        let starts: Vec<u64> = self
            .lengths
            .iter()
            .scan(0, |next, &length| {
                let start = *next;
                *next += u64::from(length);
                Some(start)
            })
            .collect();
        let boundaries: Vec<u8> =
            packed.boundaries.iter().flat_map(|boundary| boundary.to_le_bytes()).collect();
        let mut pieces = Vec::with_capacity(packed.pieces.len() * PIECE_BYTES as usize);
        for piece in &packed.pieces {
            let from = starts[piece.document as usize] + u64::from(piece.from);
            pieces.extend_from_slice(&from.to_le_bytes());
            pieces.extend_from_slice(&0_u32.to_le_bytes());
            pieces.extend_from_slice(&piece.length.to_le_bytes());
        }
        let width: u32 = if self.wide { 4 } else { 2 };
        let mut fields = [width.to_le_bytes(), options.length.to_le_bytes()].concat();
        for number in [
            packed.boundaries.len() as u64,
            packed.pieces.len() as u64,
            self.ids.len() as u64 / u64::from(width),
            counts.rows,
            counts.removed,
            counts.quarantined,
            self.lengths.len() as u64,
            packed.truncated_tokens,
        ] {
            fields.extend_from_slice(&number.to_le_bytes());
        }
        let parts: [&[u8]; 5] = [MAGIC, &fields, &boundaries, &pieces, &self.ids];
        debug_assert_eq!(parts[..2].iter().map(|part| part.len()).sum::<usize>(), HEADER_BYTES);
        let memory = anonymous(&parts)?;
        Ok(BuiltBlock { memory, bytes: parts.iter().map(|part| part.len() as u64).sum() })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use super::super::block::Block;
    use super::*;
    use crate::batch::Identity;
    use crate::feed::dataset::Ids;
    use crate::pack::PackStrategy;
    use crate::tokenize::tokens_field;
    use arrow_array::StringArray;
    use arrow_array::builder::{ListBuilder, UInt32Builder};
    use arrow_schema::DataType;
    use proptest::prelude::*;

    fn batch(documents: &[Vec<u32>]) -> Batch {
        let ids = StringArray::from(vec![None::<&str>; documents.len()]);
        let DataType::List(item) = tokens_field().data_type().clone() else { unreachable!() };
        let mut lists = ListBuilder::new(UInt32Builder::new()).with_field(item);
        for document in documents {
            lists.append_value(document.iter().map(|&id| Some(id)));
        }
        let identity = Identity::of_file("rows.jsonl", (0..documents.len() as u64).collect(), ids);
        Batch::new(identity, vec![(tokens_field(), Arc::new(lists.finish()))]).unwrap()
    }

    pub fn block(documents: &[Vec<u32>], vocabulary: u32, options: PackOptions) -> Result<BuiltBlock> {
        let mut builder = BlockBuilder::new(vocabulary);
        for part in documents.chunks(3) {
            builder.write(&batch(part))?;
        }
        assert_eq!(builder.documents(), documents.len() as u64);
        builder.finish(options, BlockCounts { rows: 7, removed: 2, quarantined: 1, ..BlockCounts::default() })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_block_reads_back_as_its_packing(
            documents in prop::collection::vec(prop::collection::vec(0_u32..70_000, 0..40), 0..20),
            (length, concat, truncate) in (1_u32..30, any::<bool>(), any::<bool>()),
        ) {
            let strategy = if concat { PackStrategy::Concat } else { PackStrategy::BestFit };
            let options = PackOptions { length, strategy, truncate };
            let built = block(&documents, 70_000, options).unwrap();
            prop_assert_eq!(built.bytes, built.memory.metadata().unwrap().len());
            let block = Block::map(&built.memory).unwrap();
            let lengths: Vec<u32> = documents.iter().map(|document| document.len() as u32).collect();
            let packed = pack(&lengths, options).unwrap();
            prop_assert_eq!(block.sequences(), packed.boundaries.len() as u64);
            prop_assert_eq!((block.counts().rows, block.counts().truncated), (7, packed.truncated_tokens));
            let mut pieces = packed.pieces.iter();
            let mut stretches = Vec::new();
            for sequence in 0..block.sequences() {
                stretches.clear();
                block.stretches(sequence, &mut stretches).unwrap();
                for (stretch, piece) in stretches.iter().zip(&mut pieces) {
                    let Ids::I32(bytes) = block.ids(stretch, 0, stretch.length).unwrap() else { panic!("not wide") };
                    let ids: Vec<u32> = bytes.as_chunks().0.iter().map(|&id| u32::from_le_bytes(id)).collect();
                    let (from, to) = (piece.from as usize, (piece.from + piece.length) as usize);
                    prop_assert_eq!(&ids, &documents[piece.document as usize][from..to]);
                }
            }
            prop_assert!(pieces.next().is_none());
            prop_assert!(block.stretches(block.sequences(), &mut stretches).is_err());
        }
    }

    #[test]
    fn what_is_no_block_is_refused() {
        let options = PackOptions { length: 4, strategy: PackStrategy::BestFit, truncate: false };
        assert_eq!(block(&[vec![65_536]], 60_000, options).unwrap_err().code(), "GM_FORMAT");
        let built = block(&[vec![1, 2, 3]], 60_000, options).unwrap();
        let mut bytes = Vec::new();
        std::io::Seek::rewind(&mut &built.memory).unwrap();
        std::io::Read::read_to_end(&mut &built.memory, &mut bytes).unwrap();
        let changes: [fn(&mut Vec<u8>); 3] =
            [|bytes| bytes.truncate(90), |bytes| bytes[0] = 0, |bytes| bytes[16] = 9];
        for change in changes {
            let mut other = bytes.clone();
            change(&mut other);
            assert_eq!(Block::map(&anonymous(&[&other]).unwrap()).unwrap_err().code(), "GM_FORMAT");
        }
    }
}
