//! Best-fit-decreasing.

use super::successors::Successors;
use super::{Packed, Piece};

/// No bin.
const NONE: u32 = u32::MAX;

/// Packs documents into sequences of at most `capacity` tokens.
pub(super) fn pack(lengths: &[u32], capacity: u32) -> Packed {
    let (items, split_documents) = items(lengths, capacity);
    let (bin_of, bins) = fill(&items, capacity);
    let (pieces, boundaries) = emit(&items, &bin_of, bins);
    Packed { pieces, boundaries, split_documents, truncated_tokens: 0 }
}

/// The documents in pieces of at most `capacity`, in order, and how many needed several.
fn items(lengths: &[u32], capacity: u32) -> (Vec<Piece>, u64) {
    let mut items = Vec::with_capacity(lengths.len());
    let mut split = 0;
    for (document, &length) in lengths.iter().enumerate() {
        split += u64::from(length > capacity);
        let mut from = 0;
        while from < length {
            let piece = Piece { document: document as u32, from, length: capacity.min(length - from) };
            items.push(piece);
            from += piece.length;
        }
    }
    (items, split)
}

/// The bin of each item, and the number of bins. Of bins with equal room the one that got it last is
/// taken, so that the result is one of the items alone.
fn fill(items: &[Piece], capacity: u32) -> (Vec<u32>, usize) {
    // Longest first, then in order, as one number each: sorting those is several times faster.
    let mut order: Vec<u64> = items
        .iter()
        .enumerate()
        .map(|(item, piece)| u64::from(capacity - piece.length) << 32 | item as u64)
        .collect();
    order.sort_unstable();
    let mut rooms = Successors::new(capacity as usize);
    let mut last_with_room = vec![NONE; capacity as usize];
    let mut before: Vec<u32> = Vec::new();
    let mut bin_of = vec![NONE; items.len()];
    for item in order.into_iter().map(|key| key as u32 as usize) {
        let length = items[item].length;
        let (bin, room) = if let Some(room) = rooms.at_least(length as usize) {
            let bin = last_with_room[room];
            last_with_room[room] = before[bin as usize];
            if last_with_room[room] == NONE {
                rooms.remove(room);
            }
            (bin, room - length as usize)
        } else {
            before.push(NONE);
            ((before.len() - 1) as u32, (capacity - length) as usize)
        };
        bin_of[item] = bin;
        if room > 0 {
            before[bin as usize] = last_with_room[room];
            last_with_room[room] = bin;
            rooms.insert(room);
        }
    }
    (bin_of, before.len())
}

/// Pieces bin by bin, bins in the order of their first item.
fn emit(items: &[Piece], bin_of: &[u32], bins: usize) -> (Vec<Piece>, Vec<u64>) {
    let mut sequence_of = vec![NONE; bins];
    let mut boundaries: Vec<u64> = Vec::with_capacity(bins);
    for &bin in bin_of {
        let sequence = &mut sequence_of[bin as usize];
        if *sequence == NONE {
            *sequence = boundaries.len() as u32;
            boundaries.push(0);
        }
        boundaries[*sequence as usize] += 1;
    }
    let mut first = 0;
    for boundary in &mut boundaries {
        first += std::mem::replace(boundary, first);
    }
    let mut next = boundaries.clone();
    let mut pieces = vec![Piece { document: 0, from: 0, length: 0 }; items.len()];
    for (item, &bin) in items.iter().zip(bin_of) {
        let at = &mut next[sequence_of[bin as usize] as usize];
        pieces[*at as usize] = *item;
        *at += 1;
    }
    (pieces, boundaries)
}
