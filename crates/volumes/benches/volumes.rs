//! How fast a volume is recorded and given back: `cargo bench -p openshifter-volumes`.
#![expect(clippy::unwrap_used, reason = "a bench fails by panicking")]

use std::{collections::BTreeMap, hint::black_box, io::Cursor};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use openshifter_volumes::{
    Allow, FileEntry, FileKind, Progress, RecordOptions, StoredVolume, archive::Writer, record,
    scan,
};

/// Bytes that do not compress.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

fn tar(files: usize, size: usize) -> Vec<u8> {
    let content = noise(size);
    let mut writer = Writer::new(Vec::new());
    for file in 0..files {
        let entry = FileEntry {
            path: format!("{:03}-{file}", file % 100).into_bytes(),
            kind: FileKind::File,
            size: size as u64,
            mode: 0o644,
            uid: 1000,
            gid: 0,
            mtime: 1_600_000_000,
            mtime_nanos: 0,
            xattrs: BTreeMap::new(),
            sha256: None,
        };
        writer.member(&entry).unwrap();
        writer.data(&content).unwrap();
    }
    writer.finish().unwrap()
}

fn volumes(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for (name, files, size) in [
        ("one file of 128 MiB", 1, 128 << 20),
        ("5,000 files of 4 KiB", 5000, 4096),
    ] {
        let tar = bytes::Bytes::from(tar(files, size));
        let spool = tempfile::tempdir().unwrap();
        let mut group = criterion.benchmark_group(name);
        group
            .throughput(Throughput::Bytes(tar.len() as u64))
            .sample_size(10);
        group.bench_function("scan", |bencher| {
            bencher
                .to_async(&runtime)
                .iter(|| async { black_box(scan(Cursor::new(tar.clone())).await.unwrap()) });
        });
        let fresh = || tempfile::tempdir_in(spool.path()).unwrap();
        group.bench_function("record", |bencher| {
            bencher.to_async(&runtime).iter_batched(
                fresh,
                |dir| {
                    let stream = Cursor::new(tar.clone());
                    async move {
                        record(stream, &dir.path().join("data"), &RecordOptions::default())
                            .await
                            .unwrap();
                        dir
                    }
                },
                BatchSize::PerIteration,
            );
        });
        let kept = fresh();
        let dir = kept.path().join("data");
        runtime
            .block_on(record(
                Cursor::new(tar.clone()),
                &dir,
                &RecordOptions::default(),
            ))
            .unwrap();
        let stored = StoredVolume::open(&dir).unwrap();
        group.bench_function("verify", |bencher| {
            bencher.iter(|| {
                stored
                    .verify_with(Allow::default(), &Progress::none())
                    .unwrap()
            });
        });
        group.bench_function("copy_to", |bencher| {
            bencher.to_async(&runtime).iter(|| async {
                stored
                    .copy_to(tokio::io::sink(), &Progress::none())
                    .await
                    .unwrap()
            });
        });
        group.finish();
    }
}

criterion_group!(benches, volumes);
criterion_main!(benches);
