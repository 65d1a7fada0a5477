//! Documents one after the other, cut wherever a sequence is full.

use super::{Packed, Piece};

/// Packs documents into sequences of exactly `capacity` tokens; the last may be shorter.
pub(super) fn pack(lengths: &[u32], capacity: u32) -> Packed {
    let mut packed = Packed::default();
    let mut room = 0;
    for (document, &length) in lengths.iter().enumerate() {
        let before = packed.pieces.len();
        let mut from = 0;
        while from < length {
            if room == 0 {
                packed.boundaries.push(packed.pieces.len() as u64);
                room = capacity;
            }
            let piece = Piece { document: document as u32, from, length: room.min(length - from) };
            packed.pieces.push(piece);
            from += piece.length;
            room -= piece.length;
        }
        packed.split_documents += u64::from(packed.pieces.len() > before + 1);
    }
    packed
}
