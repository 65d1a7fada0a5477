use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::format::Format;
use super::source::Source;
use super::{Export, ExportConfig};
use crate::formats::parquet_write::ParquetWriter;
use crate::formats::shard_file::FinishedFile;
use crate::hash::blocks::BlockHasher;
use crate::test_folder::TestFolder;

const FORMATS: [Format; 7] = [
    Format::Mds,
    Format::Litdata,
    Format::Webdataset,
    Format::Tfrecord,
    Format::Arrow,
    Format::Parquet,
    Format::Safetensors,
];

fn listed(run: &Path, name: &str, content: &[u8]) -> Value {
    fs::create_dir_all(run.join(name).parent().unwrap()).unwrap();
    fs::write(run.join(name), content).unwrap();
    let mut hasher = BlockHasher::default();
    hasher.update(content);
    let FinishedFile { bytes, checksum, blocks, .. } =
        FinishedFile::of_hashes(String::new(), &hasher.finish());
    json!({ "name": name, "bytes": bytes, "checksum": checksum, "blocks": blocks })
}

fn little<T: Copy, const N: usize>(numbers: &[T], bytes: impl Fn(T) -> [u8; N]) -> Vec<u8> {
    numbers.iter().flat_map(|&number| bytes(number)).collect()
}

fn array(descr: &str, length: usize, data: &[u8]) -> Vec<u8> {
    let mut bytes = crate::formats::npy::header(descr, length as u64);
    bytes.extend_from_slice(data);
    bytes
}

/// A run of the documents, some in a shard, each sequence as many whole documents as fit; ids of two bytes.
fn write_run(run: &Path, documents: &[Vec<u16>], length: usize, in_shard: usize) -> Vec<Vec<Vec<u16>>> {
    let (mut shards, mut pieces, mut boundaries) = (Vec::new(), Vec::new(), Vec::<u64>::new());
    let (mut sequences, mut room) = (Vec::<Vec<Vec<u16>>>::new(), 0);
    for (number, own) in documents.chunks(in_shard).enumerate() {
        let (mut ids, mut starts) = (Vec::<u16>::new(), Vec::<i64>::new());
        for document in own {
            starts.push(2 * ids.len() as i64);
            for (part, stretch) in document.chunks(length).enumerate() {
                if stretch.len() > room {
                    boundaries.push((pieces.len() / 16) as u64);
                    sequences.push(Vec::new());
                    room = length;
                }
                room -= stretch.len();
                sequences.last_mut().unwrap().push(stretch.to_vec());
                pieces.extend(((ids.len() + part * length) as u64).to_le_bytes());
                pieces.extend((number as u32).to_le_bytes());
                pieces.extend((stretch.len() as u32).to_le_bytes());
            }
            ids.extend(document);
        }
        let (lengths, count) =
            (own.iter().map(|document| document.len() as i32).collect::<Vec<_>>(), own.len() as u64);
        let mut idx = b"MMIDIDX\0\0".to_vec();
        idx.extend(1_u64.to_le_bytes());
        idx.push(8);
        idx.extend(little(&[count, count + 1], u64::to_le_bytes));
        idx.extend(little(&lengths, i32::to_le_bytes));
        idx.extend(little(&starts, i64::to_le_bytes));
        idx.extend(little(&(0..=count as i64).collect::<Vec<_>>(), i64::to_le_bytes));
        let name = format!("shards/{number:05}");
        let files = [
            listed(run, &format!("{name}.bin"), &little(&ids, u16::to_le_bytes)),
            listed(run, &format!("{name}.idx"), &idx),
            listed(run, &format!("{name}.docs.parquet"), &table(run, number * in_shard, own.len())),
        ];
        shards.push(
            json!({ "name": format!("{number:05}"), "rows": count, "tokens": ids.len(), "files": files }),
        );
    }
    let descr = "[('token_offset', '<u8'), ('shard', '<u4'), ('length', '<u4')]";
    let files = [
        listed(run, &format!("packs/{length}/pieces.npy"), &array(descr, pieces.len() / 16, &pieces)),
        listed(
            run,
            &format!("packs/{length}/boundaries.npy"),
            &array("'<u8'", boundaries.len(), &little(&boundaries, u64::to_le_bytes)),
        ),
    ];
    let pack = json!({ "length": length, "sequences": sequences.len(), "pieces": pieces.len() / 16, "files": files });
    let tokenizer = json!({ "vocabularySize": 60_000 });
    let manifest = json!({ "schemaVersion": 1, "tokenizer": tokenizer, "shards": shards, "packs": [pack] });
    fs::write(run.join("manifest.json"), manifest.to_string()).unwrap();
    sequences
}

/// `id`, and `score`, which is null for every third document.
fn table(run: &Path, first: usize, rows: usize) -> Vec<u8> {
    let schema = Arc::new(Schema::new(vec![
        Field::new("id", DataType::Utf8, false),
        Field::new("score", DataType::Int64, true),
    ]));
    let ids: StringArray = (first..first + rows).map(|row| Some(format!("d{row}"))).collect();
    let scores: Int64Array = (first..first + rows).map(|row| (row % 3 > 0).then_some(row as i64)).collect();
    let path = run.join("scratch.parquet");
    let mut writer = ParquetWriter::create(&path, Arc::clone(&schema)).unwrap();
    writer.write(&RecordBatch::try_new(schema, vec![Arc::new(ids), Arc::new(scores)]).unwrap()).unwrap();
    writer.finish().unwrap();
    fs::read(path).unwrap()
}

fn config(place: &TestFolder, format: Format) -> ExportConfig {
    ExportConfig {
        run: place.join("run"),
        out: place.join("out"),
        format,
        seq_len: None,
        documents: false,
        pad_id: None,
        zstd: false,
        shard_bytes: 1 << 20,
        threads: 2,
        check: true,
    }
}

fn export(config: &ExportConfig) -> super::ExportReport {
    Export::open(config.clone()).unwrap().run().unwrap().unwrap()
}

fn content(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(path).unwrap()))
        .collect()
}

/// Column `index` of all samples, lists of ids.
fn read_lists(config: &ExportConfig, index: usize) -> Vec<Vec<i32>> {
    let source = Source::open(config).unwrap();
    let mut lists = Vec::new();
    for unit in 0..source.units().len() {
        source
            .read(unit, &mut |rows| {
                for row in 0..rows.num_rows() {
                    let column = rows.column(index);
                    let list = match column.data_type() {
                        DataType::FixedSizeList(..) => column.as_fixed_size_list().value(row),
                        _ => column.as_list::<i32>().value(row),
                    };
                    lists.push(list.as_primitive::<Int32Type>().values().to_vec());
                }
                Ok(true)
            })
            .unwrap();
    }
    lists
}

fn widened(ids: &[u16]) -> Vec<i32> {
    ids.iter().map(|&id| i32::from(id)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever the shards, samples are the run's own sequences and documents, and every format holds them all
    /// in the same bytes for any number of threads.
    #[test]
    fn samples_are_those_of_the_run(
        documents in vec(vec(any::<u16>(), 0..40), 1..40),
        length in 3..20_usize,
        in_shard in 1..20_usize,
        shard_bytes in 1..2000_u64,
        format in prop::sample::select(&FORMATS),
        whole in any::<bool>(),
    ) {
        prop_assume!(documents.iter().any(|document| !document.is_empty()));
        let place = TestFolder::new();
        let sequences = write_run(&place.join("run"), &documents, length, in_shard);
        let config = ExportConfig { documents: whole, shard_bytes, ..config(&place, format) };
        if whole {
            let expected: Vec<_> = documents.iter().map(|document| widened(document)).collect();
            prop_assert_eq!(read_lists(&config, 0), expected);
        } else {
            let expected: Vec<_> = sequences.iter().map(|sequence| widened(&sequence.concat())).collect();
            prop_assert_eq!(read_lists(&config, 0), &*expected);
            let ends = sequences.iter().map(|sequence| {
                let ends = sequence.iter().scan(0, |end, piece| { *end += piece.len() as i32; Some(*end) });
                std::iter::once(0).chain(ends).collect::<Vec<_>>()
            });
            prop_assert_eq!(read_lists(&config, 1), ends.collect::<Vec<_>>());
            let padded = ExportConfig { pad_id: Some(7), ..config.clone() };
            let filled = expected.into_iter().map(|mut ids| { ids.resize(length, 7); ids });
            prop_assert_eq!(read_lists(&padded, 0), filled.collect::<Vec<_>>());
        }
        let report = export(&ExportConfig { threads: 1, ..config.clone() });
        let other = ExportConfig { threads: 3, out: place.join("other"), ..config.clone() };
        prop_assert_eq!(&report, &export(&other));
        let samples = if whole { documents.len() } else { sequences.len() };
        prop_assert_eq!(report.samples, samples as u64);
        prop_assert_eq!(content(&config.out), content(&other.out));
    }
}

#[test]
fn a_stopped_export_leaves_nothing_and_goes_on_to_the_same_bytes() {
    for format in FORMATS {
        let place = TestFolder::new();
        let documents: Vec<Vec<u16>> = (0..200).map(|document| vec![document; 5]).collect();
        write_run(&place.join("run"), &documents, 16, 50);
        let config = ExportConfig { documents: true, shard_bytes: 600, threads: 1, ..config(&place, format) };
        let stopped = Export::open(config.clone()).unwrap();
        // The first unit is written before anything is stopped, the others are not.
        let folder = super::folder::Folder::open(&config, &stopped.source).unwrap();
        let shards = stopped.write_unit(0, &folder).unwrap().unwrap();
        folder.finish(0, &shards).unwrap();
        drop(folder);
        stopped.stop();
        assert_eq!(stopped.run().unwrap(), None);
        assert!(!config.out.exists());
        let report = export(&config);
        assert_eq!(report.resumed, 50, "{format:?}");
        let whole = ExportConfig { out: place.join("whole"), ..config.clone() };
        export(&whole);
        assert_eq!(content(&config.out), content(&whole.out));
        assert!(!place.join("out.partial").exists());
    }
}

#[test]
fn what_is_left_of_another_export_is_not_used() {
    let place = TestFolder::new();
    let documents: Vec<Vec<u16>> = (0..20).map(|document| vec![document; 5]).collect();
    write_run(&place.join("run"), &documents, 16, 5);
    let mds = config(&place, Format::Mds);
    let stopped = Export::open(mds.clone()).unwrap();
    let folder = super::folder::Folder::open(&mds, &stopped.source).unwrap();
    folder.finish(0, &stopped.write_unit(0, &folder).unwrap().unwrap()).unwrap();
    // Somebody else may not write there meanwhile.
    assert_eq!(Export::open(mds.clone()).unwrap().run().unwrap_err().code(), "GM_RUN_LOCKED");
    drop(folder);
    let report = export(&ExportConfig { pad_id: Some(0), ..mds.clone() });
    assert_eq!(report.resumed, 0);
    let again = Export::open(mds.clone()).unwrap().run().unwrap_err();
    assert!(again.to_string().contains("already holds a finished export"), "{again}");
    fs::create_dir_all(place.join("other.partial")).unwrap();
    fs::write(place.join("other.partial/mine"), "x").unwrap();
    let other = ExportConfig { out: place.join("other"), ..mds };
    let refused = Export::open(other).unwrap().run().unwrap_err();
    assert!(refused.to_string().contains("is no unfinished export"), "{refused}");
    assert_eq!(fs::read_to_string(place.join("other.partial/mine")).unwrap(), "x");
}

#[test]
fn damage_in_the_run_is_no_export() {
    let place = TestFolder::new();
    let documents: Vec<Vec<u16>> = (0..20).map(|document| vec![document; 5]).collect();
    write_run(&place.join("run"), &documents, 16, 5);
    let bin = place.join("run/shards/00001.bin");
    let mut bytes = fs::read(&bin).unwrap();
    bytes[3] ^= 1;
    fs::write(&bin, bytes).unwrap();
    let config = config(&place, Format::Tfrecord);
    let error = Export::open(config.clone()).unwrap().run().unwrap_err();
    assert_eq!(error.code(), "GM_SHARD_CHECKSUM");
    assert!(!config.out.exists());
}

#[test]
fn options_that_do_not_fit_the_run_are_refused() {
    let place = TestFolder::new();
    write_run(&place.join("run"), &[vec![1, 2, 3]], 4, 1);
    let config = config(&place, Format::Mds);
    let refused = |config: ExportConfig| Export::open(config).err().unwrap().to_string();
    assert!(refused(ExportConfig { seq_len: Some(5), ..config.clone() }).contains("no pack of 5"));
    let padded = ExportConfig { documents: true, pad_id: Some(0), ..config.clone() };
    assert!(refused(padded).contains("only packed sequences are padded"));
    let compressed = ExportConfig { zstd: true, format: Format::Arrow, ..config.clone() };
    assert!(refused(compressed).contains("only mds and litdata"));
    let missing = ExportConfig { run: place.join("none"), ..config };
    assert!(refused(missing).contains("is no finished run"));
}
