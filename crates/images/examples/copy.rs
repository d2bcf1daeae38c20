//! Copies one image from a registry to a registry or a folder: `copy FROM TO`, each `HOST/REPOSITORY:TAG`, TO also
//! `oci:FOLDER:NAME`. Plain http is allowed. For measurements beside other tools; `scripts/bench-images` uses it.

use std::process::ExitCode;

use openshifter_images::{
    CopyOptions, ImageReference, ImagesError, Layout, Platforms, Registry, RegistryCredentials,
    RegistryEndpoint, RegistryTrust, Repository, Wanted, copy, pull_to_layout,
};

#[tokio::main(flavor = "multi_thread")]
async fn main() -> ExitCode {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [from, to] = args.as_slice() else {
        say("copy FROM TO");
        return ExitCode::from(2);
    };
    match run(from, to).await {
        Ok(text) => {
            say(&text);
            ExitCode::SUCCESS
        }
        Err(error) => {
            say(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

#[expect(
    clippy::print_stderr,
    reason = "the one place where this program speaks"
)]
fn say(text: &str) {
    eprintln!("{text}");
}

async fn run(from: &str, to: &str) -> Result<String, ImagesError> {
    let from: ImageReference = from.parse()?;
    let wanted = Wanted {
        tag: from.tag().map(str::to_owned),
        digest: from.digest(),
    };
    let survey = open(&from).await?.survey(&wanted, &Platforms::All).await?;
    let options = CopyOptions::default();
    let copied = if let Some((folder, name)) = to
        .strip_prefix("oci:")
        .and_then(|rest| rest.split_once(':'))
    {
        pull_to_layout(&survey, &Layout::create(folder).await?, name, &options).await?
    } else {
        let to: ImageReference = to.parse()?;
        copy(&survey, &open(&to).await?, to.tag(), &options).await?
    };
    Ok(format!(
        "{} {}: {} of {} bytes copied",
        copied.image, copied.digest, copied.copied_bytes, copied.bytes
    ))
}

async fn open(reference: &ImageReference) -> Result<Repository, ImagesError> {
    let trust = RegistryTrust {
        plain_http: true,
        ..RegistryTrust::default()
    };
    let endpoint = RegistryEndpoint::of(reference, trust)?;
    let registry = Registry::connect(&endpoint, RegistryCredentials::Anonymous).await?;
    registry.repository(reference.repository())
}
