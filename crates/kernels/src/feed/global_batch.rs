//! Global batches of documents of like length: how they are cut, sorted and dealt to the ranks.

use super::order::SampleId;

/// Batches of up to this length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    /// Positions of a row.
    pub length: u32,
    /// Rows of a batch of one rank.
    pub rows: u32,
}

/// A document on its way into a batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Document {
    pub(super) length: u32,
    /// Its length, where batches have no limit.
    pub(super) cost: f64,
    pub(super) sample: SampleId,
}

/// What all ranks get in one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GlobalBatch {
    /// Positions of a row.
    pub length: u32,
    /// Rows of each rank.
    pub rows: u32,
    /// The documents, from the costliest (the longest) to the cheapest; fewer than rows × ranks in the last of a window.
    pub samples: Vec<SampleId>,
}

impl GlobalBatch {
    /// What one of `ranks` ranks gets: a row each, `None` where there is no document left.
    pub fn deal(&self, rank: u64, ranks: u64, out: &mut Vec<Option<SampleId>>) {
        out.clear();
        out.extend((0..u64::from(self.rows)).map(|round| {
            let place = if round.is_multiple_of(2) { rank } else { ranks - 1 - rank };
            self.samples.get((round * ranks + place) as usize).copied()
        }));
    }
}

/// A global batch as it was cut, its documents as they came.
#[derive(Debug)]
pub(super) struct Draft {
    length: u32,
    rows: u32,
    documents: Vec<Document>,
}

impl Draft {
    /// A batch of padding alone.
    pub(super) fn blank(Bucket { length, rows }: Bucket) -> Self {
        Self { length, rows, documents: Vec::new() }
    }

    /// The batch.
    pub(super) fn sorted(&self) -> GlobalBatch {
        let mut documents = self.documents.clone();
        documents.sort_by(|one, other| other.cost.total_cmp(&one.cost));
        let samples = documents.into_iter().map(|document| document.sample).collect();
        GlobalBatch { length: self.length, rows: self.rows, samples }
    }
}

/// How documents are cut into global batches.
#[derive(Debug)]
pub(super) struct Cutter {
    /// From the shortest to the longest.
    pub(super) sizes: Vec<Bucket>,
    pub(super) ranks: u64,
    /// The most that the costs in a global batch add up to.
    pub(super) limit: Option<f64>,
}

impl Cutter {
    /// The bucket, by its number, that a document of that length belongs to.
    pub(super) fn bucket_of(&self, length: u32) -> usize {
        self.sizes.partition_point(|bucket| bucket.length < length).min(self.sizes.len() - 1)
    }

    /// Cuts the documents of each bucket, as they come; what is left over goes on into the next larger one.
    pub(super) fn cut(&self, by_bucket: Vec<Vec<Document>>) -> Vec<Draft> {
        let mut batches = Vec::new();
        let mut left = Vec::new();
        for (bucket, own) in self.sizes.iter().zip(by_bucket) {
            left.extend(own);
            left = self.cut_bucket(*bucket, left, &mut batches);
        }
        if !left.is_empty() {
            batches.push(self.draft(self.smallest_for(&left), left));
        }
        batches
    }

    /// Gives back the documents that do not fill the last batch.
    fn cut_bucket(
        &self,
        bucket: Bucket,
        documents: Vec<Document>,
        batches: &mut Vec<Draft>,
    ) -> Vec<Document> {
        let global = (u64::from(bucket.rows) * self.ranks) as usize;
        let mut open: Vec<Document> = Vec::new();
        let mut cost = 0.0;
        for document in documents {
            let over = self.limit.is_some_and(|limit| cost + document.cost > limit) && !open.is_empty();
            if over || open.len() == global {
                batches.push(self.draft(bucket, std::mem::take(&mut open)));
                cost = 0.0;
            }
            cost += document.cost;
            open.push(document);
        }
        if open.len() == global {
            batches.push(self.draft(bucket, std::mem::take(&mut open)));
        }
        open
    }

    fn draft(&self, Bucket { length, rows }: Bucket, documents: Vec<Document>) -> Draft {
        let needed = (documents.len() as u64).div_ceil(self.ranks) as u32;
        let rows = if self.limit.is_some() { needed } else { rows };
        Draft { length, rows, documents }
    }

    /// The smallest bucket that holds all of `documents` in one global batch.
    fn smallest_for(&self, documents: &[Document]) -> Bucket {
        let longest = documents.iter().map(|document| document.length).max().unwrap_or(0);
        let fits = |bucket: &&Bucket| {
            bucket.length >= longest && u64::from(bucket.rows) * self.ranks >= documents.len() as u64
        };
        self.sizes.iter().find(fits).copied().unwrap_or(self.sizes[self.sizes.len() - 1])
    }
}
