//! Images for the tests, written by hand as an OCI image layout and pushed by skopeo.

use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use openshifter_images::Digest;
use serde_json::{Value, json};

use crate::inspect::skopeo;
use crate::server::Server;

pub(crate) const OCI: Types = Types {
    manifest: "application/vnd.oci.image.manifest.v1+json",
    index: "application/vnd.oci.image.index.v1+json",
    config: "application/vnd.oci.image.config.v1+json",
    gzip: "application/vnd.oci.image.layer.v1.tar+gzip",
};

pub(crate) const DOCKER: Types = Types {
    manifest: "application/vnd.docker.distribution.manifest.v2+json",
    index: "application/vnd.docker.distribution.manifest.list.v2+json",
    config: "application/vnd.docker.container.image.v1+json",
    gzip: "application/vnd.docker.image.rootfs.diff.tar.gzip",
};

const ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";

pub(crate) struct Types {
    pub(crate) manifest: &'static str,
    pub(crate) index: &'static str,
    config: &'static str,
    gzip: &'static str,
}

/// A layout that is being written.
pub(crate) struct Maker {
    pub(crate) folder: tempfile::TempDir,
}

impl Maker {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("blobs/sha256")).unwrap();
        std::fs::write(
            folder.path().join("oci-layout"),
            r#"{"imageLayoutVersion": "1.0.0"}"#,
        )
        .unwrap();
        Self { folder }
    }

    pub(crate) fn blob(&self, media_type: &str, bytes: &[u8]) -> Value {
        let digest = Digest::of(bytes);
        std::fs::write(
            self.folder.path().join("blobs/sha256").join(digest.hex()),
            bytes,
        )
        .unwrap();
        json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
    }

    /// A layer with one file of bytes that do not compress.
    pub(crate) fn layer(
        &self,
        types: &Types,
        seed: u64,
        size: usize,
        zstd: bool,
    ) -> (Value, Digest) {
        let mut archive = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(size as u64);
        header.set_mode(0o644);
        archive
            .append_data(&mut header, format!("file-{seed}"), &noise(seed, size)[..])
            .unwrap();
        let tar = archive.into_inner().unwrap();
        let diff = Digest::of(&tar);
        let layer = if zstd {
            self.blob(ZSTD, &zstd::encode_all(&tar[..], 3).unwrap())
        } else {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(&tar).unwrap();
            self.blob(types.gzip, &encoder.finish().unwrap())
        };
        (layer, diff)
    }

    /// A manifest of these layers.
    pub(crate) fn image(
        &self,
        types: &Types,
        architecture: &str,
        layers: &[(Value, Digest)],
    ) -> Value {
        let diffs: Vec<_> = layers.iter().map(|(_, diff)| diff).collect();
        let config = json!({"architecture": architecture, "os": "linux", "config": {"Cmd": ["/x"]},
            "rootfs": {"type": "layers", "diff_ids": diffs}, "history": []});
        let config = self.blob(types.config, config.to_string().as_bytes());
        let layers: Vec<_> = layers.iter().map(|(layer, _)| layer).collect();
        // Not as any library would write it: these bytes have to stay.
        let manifest = json!({"schemaVersion": 2, "mediaType": types.manifest, "config": config, "layers": layers});
        let mut text = serde_json::to_string_pretty(&manifest).unwrap();
        text.push_str("\n\n");
        self.blob(types.manifest, text.as_bytes())
    }

    /// An index of manifests with their platforms.
    pub(crate) fn index(&self, types: &Types, manifests: &[(&str, Value)]) -> Value {
        let manifests: Vec<Value> = manifests
            .iter()
            .map(|(architecture, manifest)| {
                let mut entry = manifest.clone();
                entry["platform"] = json!({"os": "linux", "architecture": architecture});
                entry
            })
            .collect();
        let index = json!({"schemaVersion": 2, "mediaType": types.index, "manifests": manifests});
        self.blob(types.index, format!(" {index}").as_bytes())
    }

    /// Pushes an image of this layout. It gets no name there: skopeo finds Docker's manifests without one only.
    pub(crate) fn push(&self, top: &Value, to: &Server, reference: &str) {
        let index = json!({"schemaVersion": 2, "manifests": [top]});
        std::fs::write(self.folder.path().join("index.json"), index.to_string()).unwrap();
        skopeo(&[
            "copy",
            "--all",
            "--preserve-digests",
            "--dest-tls-verify=false",
            &format!("oci:{}", self.path().display()),
            &format!("docker://{}/{reference}", to.address),
        ]);
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Bytes that do not compress, the same for the same seed (xorshift).
pub(crate) fn noise(seed: u64, size: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

/// Pushes a plain image of two layers, and gives the digest of the manifest and of the larger layer.
pub(crate) fn seed(to: &Server, reference: &str) -> (Digest, Digest) {
    let maker = Maker::new();
    let large = maker.layer(&OCI, 1, 300_000, false);
    let digest = large.0["digest"].as_str().unwrap().parse().unwrap();
    let small = maker.layer(&OCI, 2, 5_000, true);
    let top = maker.image(&OCI, "amd64", &[large, small]);
    maker.push(&top, to, reference);
    (top["digest"].as_str().unwrap().parse().unwrap(), digest)
}
