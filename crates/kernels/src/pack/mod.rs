//! Packing: which stretches of which documents make up each training sequence.
//!
//! Index only: no token is copied. [`pack`] works on the lengths of the documents of one window,
//! [`window`] reads them from `.idx` files and writes the window's pieces, [`assemble`] joins the windows
//! to the `.npy` files trainers map. Windows have a fixed number of documents, so that the result does
//! not depend on memory or workers.

pub mod assemble;
mod best_fit;
mod concat;
mod successors;
pub mod window;

use serde::Deserialize;

use crate::error::{KernelError, Result};

/// Longest sequence that can be asked for: best-fit keeps a word for each possible gap.
pub const LONGEST: u32 = 1 << 24;

/// How documents are put into sequences.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PackStrategy {
    /// Each document goes whole into the sequence where it leaves the least room, longest first; only
    /// documents longer than a sequence are cut.
    BestFit,
    /// Documents follow each other and are cut wherever a sequence is full.
    Concat,
}

/// What is packed how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PackOptions {
    /// Tokens of a full sequence.
    pub length: u32,
    /// How documents are put into sequences.
    pub strategy: PackStrategy,
    /// Cuts off what a document has beyond `length` instead of making further pieces of it.
    pub truncate: bool,
}

/// A stretch of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// The document, by its place in the window.
    pub document: u32,
    /// First token, counted from the document's start.
    pub from: u32,
    /// Tokens; at least 1.
    pub length: u32,
}

/// The sequences of a window.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Packed {
    /// Pieces, sequence after sequence. Sequences are in the order of their first document, pieces
    /// within a sequence in the order of documents.
    pub pieces: Vec<Piece>,
    /// First piece of each sequence.
    pub boundaries: Vec<u64>,
    /// Documents in more than one piece.
    pub split_documents: u64,
    /// Tokens that `truncate` cut off.
    pub truncated_tokens: u64,
}

/// Packs documents of the given lengths. One of no tokens takes no piece.
///
/// Best-fit is best-fit-decreasing bin packing as in Ding et al. 2024, "Fewer Truncations Improve
/// Language Modeling", arXiv:2404.10830, section 3: a document longer than a sequence is cut into whole
/// sequences and a remainder, and the remainder is packed like a document. Time is O(n log n) for the
/// sorting and O(n log₆₄ length) for the packing, memory some 40 bytes a document.
///
/// # Errors
/// `Option` when the length is 0 or above [`LONGEST`].
pub fn pack(lengths: &[u32], options: PackOptions) -> Result<Packed> {
    if options.length == 0 || options.length > LONGEST {
        return Err(KernelError::Option {
            name: "length".to_owned(),
            reason: format!("{} is not between 1 and {LONGEST}", options.length),
        });
    }
    let capacity = options.length;
    let mut truncated_tokens = 0;
    let kept = lengths.iter().map(|&length| {
        if options.truncate && length > capacity {
            truncated_tokens += u64::from(length - capacity);
            capacity
        } else {
            length
        }
    });
    let kept: Vec<u32> = kept.collect();
    let mut packed = match options.strategy {
        PackStrategy::BestFit => best_fit::pack(&kept, capacity),
        PackStrategy::Concat => concat::pack(&kept, capacity),
    };
    packed.truncated_tokens = truncated_tokens;
    Ok(packed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn options() -> impl Strategy<Value = PackOptions> {
        let strategy = prop::sample::select(vec![PackStrategy::BestFit, PackStrategy::Concat]);
        (1_u32..40, strategy, any::<bool>()).prop_map(|(length, strategy, truncate)| PackOptions {
            length,
            strategy,
            truncate,
        })
    }

    fn sequences(packed: &Packed) -> Vec<&[Piece]> {
        let ends = packed.boundaries.iter().skip(1).copied().chain([packed.pieces.len() as u64]);
        packed
            .boundaries
            .iter()
            .zip(ends)
            .map(|(&from, to)| &packed.pieces[from as usize..to as usize])
            .collect()
    }

    fn tokens(sequence: &[Piece]) -> u32 {
        sequence.iter().map(|piece| piece.length).sum()
    }

    /// Best-fit-decreasing by its definition: each item looks at every bin.
    fn bins_by_definition(lengths: &[u32], capacity: u32) -> Vec<u32> {
        let mut items: Vec<u32> = Vec::new();
        let mut bins = Vec::new();
        for &length in lengths {
            bins.extend((0..length / capacity).map(|_| capacity));
            items.extend(Some(length % capacity).filter(|&rest| rest > 0));
        }
        items.sort_unstable_by(|a, b| b.cmp(a));
        for item in items {
            let best = bins.iter_mut().filter(|bin| **bin + item <= capacity).max();
            match best {
                Some(bin) => *bin += item,
                None => bins.push(item),
            }
        }
        bins.sort_unstable();
        bins
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]
        #[test]
        fn every_token_is_in_exactly_one_piece(
            lengths in prop::collection::vec(0_u32..100, 0..80),
            options in options(),
        ) {
            let packed = pack(&lengths, options).unwrap();
            let mut pieces = packed.pieces.clone();
            pieces.sort_unstable_by_key(|piece| (piece.document, piece.from));
            let mut covered = vec![0; lengths.len()];
            for piece in &pieces {
                prop_assert!(piece.length > 0);
                let end = &mut covered[piece.document as usize];
                prop_assert_eq!(*end, piece.from);
                *end += piece.length;
            }
            let mut truncated = 0;
            for (&length, covered) in lengths.iter().zip(covered) {
                let expected = if options.truncate { length.min(options.length) } else { length };
                prop_assert_eq!(covered, expected);
                truncated += u64::from(length - expected);
            }
            prop_assert_eq!(packed.truncated_tokens, truncated);
            let split = pieces.chunk_by(|a, b| a.document == b.document).filter(|same| same.len() > 1);
            prop_assert_eq!(packed.split_documents, split.count() as u64);
        }

        #[test]
        fn no_sequence_is_too_long_or_out_of_order(
            lengths in prop::collection::vec(0_u32..100, 0..80),
            options in options(),
        ) {
            let packed = pack(&lengths, options).unwrap();
            let sequences = sequences(&packed);
            prop_assert_eq!(sequences.iter().map(|s| s.len()).sum::<usize>(), packed.pieces.len());
            let key = |piece: &Piece| (piece.document, piece.from);
            for sequence in &sequences {
                prop_assert!(!sequence.is_empty());
                prop_assert!(tokens(sequence) <= options.length);
                prop_assert!(sequence.is_sorted_by_key(key));
            }
            prop_assert!(sequences.is_sorted_by_key(|sequence| key(&sequence[0])));
        }

        #[test]
        fn best_fit_fills_bins_as_its_definition_does(
            lengths in prop::collection::vec(0_u32..100, 0..80),
            length in 1_u32..40,
        ) {
            let options = PackOptions { length, strategy: PackStrategy::BestFit, truncate: false };
            let packed = pack(&lengths, options).unwrap();
            let mut bins: Vec<u32> = sequences(&packed).into_iter().map(tokens).collect();
            bins.sort_unstable();
            prop_assert_eq!(bins, bins_by_definition(&lengths, length));
        }

        #[test]
        fn best_fit_cuts_only_what_is_too_long(
            lengths in prop::collection::vec(0_u32..100, 0..80),
            length in 1_u32..40,
        ) {
            let options = PackOptions { length, strategy: PackStrategy::BestFit, truncate: false };
            let packed = pack(&lengths, options).unwrap();
            let long = lengths.iter().filter(|&&document| document > length).count() as u64;
            prop_assert_eq!(packed.split_documents, long);
        }

        #[test]
        fn concat_fills_every_sequence_but_the_last(
            lengths in prop::collection::vec(0_u32..100, 0..80),
            length in 1_u32..40,
        ) {
            let options = PackOptions { length, strategy: PackStrategy::Concat, truncate: false };
            let packed = pack(&lengths, options).unwrap();
            let sequences = sequences(&packed);
            for sequence in sequences.iter().rev().skip(1) {
                prop_assert_eq!(tokens(sequence), length);
            }
            prop_assert!(packed.pieces.is_sorted_by_key(|piece| (piece.document, piece.from)));
        }
    }

    #[test]
    fn a_small_case_by_hand() {
        let piece = |document, from, length| Piece { document, from, length };
        let check = |strategy, pieces: &[Piece], boundaries: &[u64]| {
            let packed =
                pack(&[3, 0, 10, 5, 1], PackOptions { length: 8, strategy, truncate: false }).unwrap();
            assert_eq!(packed.pieces, pieces);
            assert_eq!(packed.boundaries, boundaries);
            assert_eq!(packed.split_documents, 1);
        };
        // 10 = 8 + 2; then 5 + 3 fill a sequence, 2 + 1 share one.
        let pieces = [piece(0, 0, 3), piece(3, 0, 5), piece(2, 0, 8), piece(2, 8, 2), piece(4, 0, 1)];
        check(PackStrategy::BestFit, &pieces, &[0, 2, 3]);
        let pieces =
            [piece(0, 0, 3), piece(2, 0, 5), piece(2, 5, 5), piece(3, 0, 3), piece(3, 3, 2), piece(4, 0, 1)];
        let packed = pack(
            &[3, 0, 10, 5, 1],
            PackOptions { length: 8, strategy: PackStrategy::Concat, truncate: false },
        );
        assert_eq!(packed.as_ref().unwrap().pieces, pieces);
        assert_eq!(packed.as_ref().unwrap().boundaries, [0, 2, 4]);
        assert_eq!(packed.unwrap().split_documents, 2);
    }

    #[test]
    fn a_length_out_of_range_is_refused() {
        for length in [0, LONGEST + 1] {
            let options = PackOptions { length, strategy: PackStrategy::BestFit, truncate: false };
            assert_eq!(pack(&[1], options).unwrap_err().code(), "GM_CONFIG");
        }
    }
}
