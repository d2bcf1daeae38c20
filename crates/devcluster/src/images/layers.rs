//! Layers: folders to compressed tar streams, and back.
//!
//! The bytes of a layer depend on the folder's contents alone: names in order, one owner, whole
//! seconds. A layer is not trusted because it is here: nothing of it lands outside of its folder, no
//! device is made, and its contents have to have the digest that the configuration says.

mod pack;
mod unpack;

use std::io;
use std::path::PathBuf;

use crate::registry::Digest;

pub(crate) use pack::{pack, pack_files, pack_over};
pub(crate) use unpack::{unpack, unpack_stream};

/// A layer that was packed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Packed {
    /// Of the compressed bytes.
    pub(crate) digest: Digest,
    /// Of them, how many.
    pub(crate) size: u64,
    /// Digest of the tar stream, `rootfs.diff_ids` of a configuration.
    pub(crate) diff_id: Digest,
}

/// A layer to unpack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layer {
    pub(crate) digest: Digest,
    pub(crate) media_type: String,
    /// What its contents have to have, by the configuration.
    pub(crate) diff_id: String,
}

/// Why a layer could not be packed or unpacked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LayerError {
    /// A file of a folder could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// What happened.
        #[source]
        source: io::Error,
    },
    /// Something that is neither file, folder nor symbolic link.
    #[error("{} is neither a file, a folder nor a symbolic link", path.display())]
    Special {
        /// What it is.
        path: PathBuf,
    },
    /// The layer could not be written, or its entries not be made.
    #[error("cannot write a layer")]
    Write(#[source] io::Error),
    /// An entry that would land elsewhere.
    #[error("a layer holds {}, which leads out of the image", path.display())]
    Escape {
        /// Its name.
        path: PathBuf,
    },
    /// Contents that are not what the configuration says.
    #[error("a layer has the content {found}, not {expected}")]
    Content {
        /// By the configuration.
        expected: String,
        /// Really.
        found: Digest,
    },
    /// A compression that is not read here.
    #[error("layers of type {0:?} are not read here: tar, gzip and zstd are")]
    Compression(String),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Blobs;
    use std::collections::BTreeMap;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;
    use std::time::{Duration, UNIX_EPOCH};

    fn blobs() -> (tempfile::TempDir, Blobs) {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(folder.path().join("registry")).unwrap();
        (folder, blobs)
    }

    fn layer(packed: &Packed) -> Layer {
        Layer {
            digest: packed.digest.clone(),
            media_type: "application/vnd.oci.image.layer.v1.tar+gzip".into(),
            diff_id: packed.diff_id.to_string(),
        }
    }

    #[test]
    fn a_folder_comes_back_as_it_was() {
        let (folder, blobs) = blobs();
        let source = folder.path().join("source");
        std::fs::create_dir_all(source.join("bin")).unwrap();
        std::fs::write(source.join("bin/run"), "#!/bin/sh\n").unwrap();
        std::fs::set_permissions(
            source.join("bin/run"),
            std::fs::Permissions::from_mode(0o700),
        )
        .unwrap();
        std::os::unix::fs::symlink("bin/run", source.join("link")).unwrap();
        let old = UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        std::fs::File::open(source.join("bin/run"))
            .unwrap()
            .set_modified(old)
            .unwrap();
        let packed = pack(&blobs, &[(&source, "opt/app-root/src")]).unwrap();
        assert_eq!(
            packed,
            pack(&blobs, &[(&source, "opt/app-root/src")]).unwrap()
        );

        let into = folder.path().join("image");
        unpack(&blobs, &[layer(&packed)], &into).unwrap();
        let run = into.join("opt/app-root/src/bin/run");
        let found = run.metadata().unwrap();
        assert_eq!(found.permissions().mode() & 0o777, 0o775);
        assert_eq!(found.modified().unwrap(), old);
        let mode = |path: &str| into.join(path).metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode("opt/app-root"), 0o755);
        assert_eq!(mode("opt/app-root/src/bin"), 0o775);
        assert_eq!(
            std::fs::read_link(into.join("opt/app-root/src/link")).unwrap(),
            Path::new("bin/run")
        );
    }

    #[test]
    fn a_layer_takes_away_what_is_below_it() {
        let (folder, blobs) = blobs();
        let below = pack_files(
            &blobs,
            &BTreeMap::from([
                ("a/one", (0o644, b"1".as_slice())),
                ("a/two", (0o644, b"2")),
                ("b/three", (0o644, b"3")),
            ]),
        )
        .unwrap();
        let above = pack_files(
            &blobs,
            &BTreeMap::from([
                ("a/.wh.one", (0o644, b"".as_slice())),
                ("b/.wh..wh..opq", (0o644, b"")),
            ]),
        )
        .unwrap();
        let into = folder.path().join("image");
        unpack(&blobs, &[layer(&below), layer(&above)], &into).unwrap();
        assert!(!into.join("a/one").exists() && into.join("a/two").exists());
        assert!(into.join("b").exists() && !into.join("b/three").exists());
    }

    #[test]
    fn nothing_lands_outside() {
        let folder = tempfile::tempdir().unwrap();
        let tar = |build: &dyn Fn(&mut tar::Builder<Vec<u8>>)| {
            let mut builder = tar::Builder::new(Vec::new());
            build(&mut builder);
            builder.into_inner().unwrap()
        };
        let file = |builder: &mut tar::Builder<Vec<u8>>, name: &[u8]| {
            let mut header = pack::header(tar::EntryType::Regular, 0o644, UNIX_EPOCH);
            // The builder itself refuses such names.
            header.as_old_mut().name[..name.len()].copy_from_slice(name);
            header.set_cksum();
            builder.append(&header, io::empty()).unwrap();
        };
        let out = tar(&|builder| file(builder, b"../out"));
        let through = tar(&|builder| {
            let mut link = pack::header(tar::EntryType::Symlink, 0o777, UNIX_EPOCH);
            builder
                .append_link(&mut link, "door", folder.path())
                .unwrap();
            file(builder, b"door/out");
        });
        let hard = tar(&|builder| {
            let mut link = pack::header(tar::EntryType::Link, 0o777, UNIX_EPOCH);
            builder
                .append_link(&mut link, "passwd", "../../etc")
                .unwrap();
        });
        let device = tar(&|builder| {
            let mut node = pack::header(tar::EntryType::Block, 0o777, UNIX_EPOCH);
            builder.append_data(&mut node, "disk", io::empty()).unwrap();
        });
        for bytes in [out, through, hard, device] {
            let into = folder.path().join("image");
            std::fs::create_dir_all(&into).unwrap();
            assert!(unpack_stream(bytes.as_slice(), &into).is_err());
            assert!(!folder.path().join("out").exists());
            std::fs::remove_dir_all(into).unwrap();
        }
    }

    #[test]
    fn other_contents_are_noticed() {
        let (folder, blobs) = blobs();
        let files = BTreeMap::from([("a", (0o644, b"1".as_slice()))]);
        let mut layer = layer(&pack_files(&blobs, &files).unwrap());
        layer.diff_id = Digest::of(b"other").to_string();
        let failed = unpack(&blobs, &[layer], &folder.path().join("image"));
        assert!(
            matches!(failed, Err(LayerError::Content { .. })),
            "{failed:?}"
        );
    }
}
