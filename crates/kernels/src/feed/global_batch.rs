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

/// Batches that are being cut.
#[derive(Debug)]
pub(super) struct Cutting {
    /// Documents of each bucket that are in no batch yet, and their costs together.
    open: Vec<(Vec<Document>, f64)>,
    batches: Vec<Draft>,
}

impl Cutter {
    /// No batches yet.
    pub(super) fn start(&self) -> Cutting {
        Cutting { open: vec![Default::default(); self.sizes.len()], batches: Vec::new() }
    }

    /// Puts a document into the bucket of the smallest length that holds it.
    pub(super) fn add(&self, document: Document, cutting: &mut Cutting) {
        let bucket = self.sizes.partition_point(|bucket| bucket.length < document.length);
        self.add_to(bucket.min(self.sizes.len() - 1), document, cutting);
    }

    fn add_to(&self, bucket: usize, document: Document, cutting: &mut Cutting) {
        let (documents, cost) = &cutting.open[bucket];
        let over = self.limit.is_some_and(|limit| cost + document.cost > limit) && !documents.is_empty();
        if over {
            self.close(bucket, cutting);
        }
        let (documents, cost) = &mut cutting.open[bucket];
        documents.push(document);
        *cost += document.cost;
        if documents.len() as u64 == u64::from(self.sizes[bucket].rows) * self.ranks {
            self.close(bucket, cutting);
        }
    }

    fn close(&self, bucket: usize, cutting: &mut Cutting) {
        let (documents, _) = std::mem::take(&mut cutting.open[bucket]);
        cutting.batches.push(self.draft(self.sizes[bucket], documents));
    }

    /// All batches. What a bucket has left over goes into the next larger one.
    pub(super) fn finish(&self, mut cutting: Cutting) -> Vec<Draft> {
        let mut left = Vec::new();
        for bucket in 0..self.sizes.len() {
            for document in left {
                self.add_to(bucket, document, &mut cutting);
            }
            (left, _) = std::mem::take(&mut cutting.open[bucket]);
        }
        if !left.is_empty() {
            cutting.batches.push(self.draft(self.smallest_for(&left), left));
        }
        cutting.batches
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
