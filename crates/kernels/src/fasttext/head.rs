//! From a hidden vector to the scores of labels.
//!
//! A score is what fastText prints: the probability, plus 10⁻⁵ that it adds before each logarithm.

use super::matrix::OutputRows;
use super::source::unusable;
use crate::error::Result;

/// Entries and range of fastText's table of the logistic function (`loss.cc`): part of its answers.
const SIGMOID_ENTRIES: usize = 512;
const SIGMOID_RANGE: f32 = 8.0;

/// How a model was trained to choose between labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    HierarchicalSoftmax,
    /// Negative sampling: predicts as `OneAgainstAll`.
    NegativeSampling,
    Softmax,
    OneAgainstAll,
}

pub(super) enum Head {
    Linear(Linear),
    Tree(Tree),
}

/// One score for each label: softmax, or a logistic function each.
pub(super) struct Linear {
    labels: usize,
    /// The output matrix transposed, so that all labels advance together and each adds its products in
    /// fastText's order.
    columns: Vec<f32>,
    factors: Option<Vec<f32>>,
    /// fastText's table of the logistic function; none for softmax.
    sigmoid: Option<Vec<f32>>,
}

/// A binary tree with a label at each leaf; an inner node divides its probability between its children.
pub(super) struct Tree {
    output: OutputRows,
    labels: usize,
    /// Children of the inner nodes; a node below `labels` is a leaf.
    children: Vec<[u32; 2]>,
    /// Parent of each node.
    parents: Vec<u32>,
}

/// The logarithm as fastText takes it of probabilities.
fn logarithm(probability: f32) -> f32 {
    (f64::from(probability) + 1e-5).ln() as f32
}

impl Head {
    pub fn new(loss: Loss, output: OutputRows, label_counts: &[i64]) -> Result<Self> {
        let labels = label_counts.len();
        let rows = output.values.len() / output.columns;
        if rows != labels {
            return Err(unusable(format!("the output matrix has {rows} rows for {labels} labels")));
        }
        Ok(match loss {
            Loss::HierarchicalSoftmax => Self::Tree(Tree::new(output, label_counts)),
            Loss::Softmax => Self::Linear(Linear::new(output, labels, None)),
            Loss::NegativeSampling | Loss::OneAgainstAll => {
                Self::Linear(Linear::new(output, labels, Some(sigmoid_table())))
            }
        })
    }

    /// The label with the highest score, and that score.
    pub fn top(&self, hidden: &[f32], scores: &mut Vec<f32>) -> (usize, f32) {
        match self {
            Self::Linear(linear) => {
                linear.scores(hidden, scores);
                let best = scores.iter().enumerate().fold((0, f32::NEG_INFINITY), |best, (label, &score)| {
                    if score > best.1 { (label, score) } else { best }
                });
                (best.0, reported(best.1))
            }
            Self::Tree(tree) => tree.top(hidden),
        }
    }

    /// The score of one label. After `top` of the same vector, which leaves all in `scores` where it
    /// computes all.
    pub fn score(&self, label: usize, hidden: &[f32], scores: &[f32]) -> f32 {
        match self {
            Self::Linear(_) => reported(scores[label]),
            Self::Tree(tree) => tree.score(label, hidden),
        }
    }
}

fn reported(probability: f32) -> f32 {
    logarithm(probability).exp()
}

fn sigmoid_table() -> Vec<f32> {
    (0..=SIGMOID_ENTRIES)
        .map(|entry| {
            let x = (entry as f32 * 2.0 * SIGMOID_RANGE) / SIGMOID_ENTRIES as f32 - SIGMOID_RANGE;
            (1.0 / (1.0 + f64::from((-x).exp()))) as f32
        })
        .collect()
}

#[expect(clippy::cast_sign_loss, reason = "the index is not negative within the range")]
fn sigmoid(table: &[f32], x: f32) -> f32 {
    if x < -SIGMOID_RANGE {
        0.0
    } else if x > SIGMOID_RANGE {
        1.0
    } else {
        table[((x + SIGMOID_RANGE) * SIGMOID_ENTRIES as f32 / SIGMOID_RANGE / 2.0) as usize]
    }
}

impl Linear {
    fn new(output: OutputRows, labels: usize, sigmoid: Option<Vec<f32>>) -> Self {
        let mut columns = vec![0.0; output.values.len()];
        for (label, row) in output.values.chunks_exact(output.columns).enumerate() {
            for (column, &value) in row.iter().enumerate() {
                columns[column * labels + label] = value;
            }
        }
        Self { labels, columns, factors: output.factors, sigmoid }
    }

    fn scores(&self, hidden: &[f32], scores: &mut Vec<f32>) {
        scores.clear();
        scores.resize(self.labels, 0.0);
        for (&weight, column) in hidden.iter().zip(self.columns.chunks_exact(self.labels)) {
            for (score, value) in scores.iter_mut().zip(column) {
                *score += weight * value;
            }
        }
        if let Some(factors) = &self.factors {
            for (score, factor) in scores.iter_mut().zip(factors) {
                *score *= factor;
            }
        }
        if let Some(table) = &self.sigmoid {
            for score in scores {
                *score = sigmoid(table, *score);
            }
            return;
        }
        let highest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let mut sum = 0.0;
        for score in scores.iter_mut() {
            *score = (*score - highest).exp();
            sum += *score;
        }
        for score in scores {
            *score /= sum;
        }
    }
}

impl Tree {
    /// The Huffman tree of the labels' counts, which fall; built as fastText builds it at loading.
    fn new(output: OutputRows, counts: &[i64]) -> Self {
        /// More than any label occurs; marks nodes that are not there yet.
        const ABSENT: i64 = 1_000_000_000_000_000;
        let labels = counts.len();
        let nodes = labels * 2 - 1;
        let mut weights = counts.to_vec();
        weights.resize(nodes, ABSENT);
        let mut children = Vec::with_capacity(labels - 1);
        let mut parents = vec![0; nodes];
        let (mut leaves_left, mut inner) = (labels, labels);
        for node in labels..nodes {
            let pair = [(); 2].map(|()| {
                // The node being made is still absent, hence never lighter than a leaf.
                if leaves_left > 0 && (inner >= node || weights[leaves_left - 1] < weights[inner]) {
                    leaves_left -= 1;
                    leaves_left
                } else {
                    inner += 1;
                    inner - 1
                }
            });
            weights[node] = weights[pair[0]].saturating_add(weights[pair[1]]);
            parents[pair[0]] = node as u32;
            parents[pair[1]] = node as u32;
            children.push(pair.map(|child| child as u32));
        }
        Self { output, labels, children, parents }
    }

    /// Logarithms of the shares of an inner node's children.
    fn shares(&self, node: usize, hidden: &[f32]) -> [f32; 2] {
        let row = node - self.labels;
        let columns = self.output.columns;
        let values = &self.output.values[row * columns..][..columns];
        let mut product = values.iter().zip(hidden).fold(0.0, |sum, (value, weight)| sum + value * weight);
        if let Some(factors) = &self.output.factors {
            product *= factors[row];
        }
        let right = (1.0 / f64::from(1.0 + (-product).exp())) as f32;
        [logarithm((1.0 - f64::from(right)) as f32), logarithm(right)]
    }

    /// Depth first, leaving out what cannot beat the best leaf so far.
    fn top(&self, hidden: &[f32]) -> (usize, f32) {
        let mut best = (0, f32::NEG_INFINITY);
        let mut open = vec![(self.parents.len() - 1, 0.0_f32)];
        while let Some((node, score)) = open.pop() {
            if score < best.1 {
                continue;
            }
            if node < self.labels {
                if score > best.1 {
                    best = (node, score);
                }
                continue;
            }
            let [left, right] = self.children[node - self.labels];
            let shares = self.shares(node, hidden);
            open.push((right as usize, score + shares[1]));
            open.push((left as usize, score + shares[0]));
        }
        (best.0, best.1.exp())
    }

    fn score(&self, label: usize, hidden: &[f32]) -> f32 {
        let mut path = vec![label];
        let root = self.parents.len() - 1;
        while let Some(&node) = path.last().filter(|&&node| node != root) {
            path.push(self.parents[node] as usize);
        }
        let steps = path.windows(2).rev();
        let score = steps.fold(0.0, |score, pair| {
            let side = usize::from(self.children[pair[1] - self.labels][1] as usize == pair[0]);
            score + self.shares(pair[1], hidden)[side]
        });
        score.exp()
    }
}
