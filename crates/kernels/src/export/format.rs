//! The formats an export can have: who writes a shard, what it is called, what its index says.

use std::path::Path;

use arrow_schema::SchemaRef;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ExportConfig;
use super::record::ShardRecord;
use crate::error::Result;
use crate::formats::arrow_write::ArrowFileWriter;
use crate::formats::litdata_write::{self, LitdataWriter};
use crate::formats::mds_write::{self, MdsWriter};
use crate::formats::parquet_write::ParquetWriter;
use crate::formats::safetensors_write::SafetensorsWriter;
use crate::formats::sample_shard::SampleWriter;
use crate::formats::tfrecord_write::TfrecordWriter;
use crate::formats::webdataset_write::WebdatasetWriter;

/// The name of the index of MDS and `LitData`.
pub const INDEX: &str = "index.json";

/// What the names of compressed shards have in them.
const ZSTD: &str = ".zstd";

/// A format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// `MosaicML` Streaming.
    Mds,
    /// `LitData`.
    Litdata,
    /// Tar archives of `WebDataset`.
    Webdataset,
    /// `tf.train.Example` in `TFRecord` files.
    Tfrecord,
    /// Arrow IPC files.
    Arrow,
    /// Parquet.
    Parquet,
    /// safetensors.
    Safetensors,
}

impl Format {
    /// Whether a column that may hold nulls is written in another form than one that holds none.
    pub fn minds_nulls(self) -> bool {
        matches!(self, Self::Mds | Self::Litdata | Self::Webdataset)
    }

    /// Whether shards can be compressed as a whole.
    pub fn compresses(self) -> bool {
        matches!(self, Self::Mds | Self::Litdata)
    }

    /// A shard of rows of `schema`, the first of which is sample `first` of the export.
    ///
    /// # Errors
    /// `ColumnType` when a column has no form in the format; `Io` when the file cannot be created.
    pub fn create(
        self,
        path: &Path,
        schema: &SchemaRef,
        config: &ExportConfig,
        first: u64,
    ) -> Result<Box<dyn SampleWriter>> {
        let (bytes, zstd) = (config.shard_bytes, config.zstd);
        Ok(match self {
            Self::Mds => Box::new(MdsWriter::new(path, schema, bytes, zstd)?),
            Self::Litdata => Box::new(LitdataWriter::new(path, schema, bytes, zstd)?),
            Self::Webdataset => Box::new(WebdatasetWriter::create(path, schema, first)?),
            Self::Tfrecord => Box::new(TfrecordWriter::create(path, schema)?),
            Self::Arrow => Box::new(ArrowFileWriter::create(path, SchemaRef::clone(schema))?),
            Self::Parquet => Box::new(ParquetWriter::create(path, SchemaRef::clone(schema))?),
            Self::Safetensors => Box::new(SafetensorsWriter::new(path, schema)?),
        })
    }

    /// What shard `number` of `count` is called, as the tools of each format call theirs.
    pub fn shard_name(self, number: usize, count: usize, zstd: bool) -> String {
        let suffix = match self {
            Self::Mds => return format!("shard.{number:05}.mds{}", if zstd { ZSTD } else { "" }),
            Self::Litdata => return format!("chunk-0-{number}{}.bin", if zstd { ZSTD } else { "" }),
            Self::Webdataset => return format!("data-{number:05}.tar"),
            Self::Tfrecord => "tfrecord",
            Self::Arrow => "arrow",
            Self::Parquet => "parquet",
            Self::Safetensors => "safetensors",
        };
        format!("data-{number:05}-of-{count:05}.{suffix}")
    }

    /// What [`INDEX`] says of the shards, where the format has one.
    ///
    /// # Errors
    /// As [`Format::create`].
    pub fn index(
        self,
        schema: &SchemaRef,
        config: &ExportConfig,
        shards: &[(String, ShardRecord)],
    ) -> Result<Option<Value>> {
        let (bytes, zstd) = (config.shard_bytes, config.zstd);
        match self {
            Self::Mds => {
                let shards = shards.iter().filter_map(|(name, shard)| {
                    let stated = shard.stated.as_ref()?;
                    let zip = shard.raw.is_some().then_some((name.as_str(), stated));
                    let raw = shard.raw.as_ref().unwrap_or(stated);
                    let name = name.trim_end_matches(ZSTD);
                    Some(mds_write::Indexed { name, raw, zip, samples: shard.samples })
                });
                mds_write::index(schema, bytes, zstd, shards).map(Some)
            }
            Self::Litdata => {
                let chunks = shards.iter().map(|(name, shard)| litdata_write::Indexed {
                    name,
                    bytes: shard.raw.as_ref().map_or(shard.bytes, |raw| raw.bytes),
                    samples: shard.samples,
                });
                litdata_write::index(schema, bytes, zstd, chunks).map(Some)
            }
            Self::Webdataset | Self::Tfrecord | Self::Arrow | Self::Parquet | Self::Safetensors => Ok(None),
        }
    }
}
