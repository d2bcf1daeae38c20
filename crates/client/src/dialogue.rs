//! The questions, in the order that users know: source, target, policy.

use std::path::Path;

use openshifter_cluster::{Access, Credentials, Trust};
use openshifter_migrate::{EndpointError, InputFile, Policy};
use openshifter_server::{EndpointSpec, MigrationRequest, PlanBody};
use secrecy::SecretString;

use crate::{ClientError, ClientOptions, PromptError, Prompter};

/// How often an address is asked for again.
const TRIES: usize = 3;

/// Asks for everything that a migration needs.
pub(crate) fn ask(
    options: &ClientOptions,
    prompter: &mut dyn Prompter,
) -> Result<MigrationRequest, ClientError> {
    let source = end("Source: where the application is", options, prompter)?;
    let target = end("Target: where the application goes", options, prompter)?;
    let policy = policy(prompter)?;
    let mut request = MigrationRequest::new(source, target, policy);
    request.quiesce = options.quiesce;
    request.with_data = options.with_data;
    request.overwrite_data = options.overwrite_data;
    request.helper_image.clone_from(&options.helper_image);
    Ok(request)
}

fn end(
    question: &str,
    options: &ClientOptions,
    prompter: &mut dyn Prompter,
) -> Result<EndpointSpec, ClientError> {
    let file = options
        .input
        .file_name()
        .map_or_else(|| options.input.clone(), Into::into);
    let ways = [
        format!("from file ({})", file.display()),
        "typed in".to_owned(),
    ];
    match prompter.choose(question, &ways)? {
        0 => from_file(&options.input, prompter),
        _ => typed_in(options, prompter),
    }
}

fn from_file(path: &Path, prompter: &mut dyn Prompter) -> Result<EndpointSpec, ClientError> {
    let file = InputFile::read(path)?;
    let names: Vec<String> = file.entries.iter().map(|(name, _)| name.clone()).collect();
    if names.is_empty() {
        return Err(ClientError::Empty(path.to_owned()));
    }
    let index = prompter.choose("Which one?", &names)?;
    let Some((name, entry)) = file.entries.get(index) else {
        return Err(PromptError::Ended.into());
    };
    let endpoint = entry.endpoint(name)?;
    spec(endpoint.access, entry.project.clone())
}

fn typed_in(
    options: &ClientOptions,
    prompter: &mut dyn Prompter,
) -> Result<EndpointSpec, ClientError> {
    let base = base(prompter)?;
    let project = prompter.text("Project")?;
    let username = prompter.text("Username")?;
    let password = prompter.password("Password")?;
    let trust = trust(options, &base)?;
    spec(
        Access {
            name: base
                .as_str()
                .trim_start_matches("https://")
                .trim_end_matches('/')
                .to_owned(),
            base,
            trust,
            credentials: Credentials::Password { username, password },
        },
        project,
    )
}

fn base(prompter: &mut dyn Prompter) -> Result<url::Url, ClientError> {
    let question = "Base URL (host:port)";
    for _ in 0..TRIES {
        match Access::parse_base(&prompter.text(question)?) {
            Ok(base) => return Ok(base),
            Err(error) => prompter.say(&error.to_string())?,
        }
    }
    Err(PromptError::NoAnswer {
        question: question.to_owned(),
    }
    .into())
}

fn trust(options: &ClientOptions, base: &url::Url) -> Result<Trust, ClientError> {
    for (known, trust) in &options.trusts {
        if Access::parse_base(known).map_err(EndpointError::from)? == *base {
            return Ok(trust.clone());
        }
    }
    Ok(Trust::default())
}

/// An access in the form that travels to a service.
fn spec(access: Access, project: String) -> Result<EndpointSpec, ClientError> {
    let pem = |pem: Option<Vec<u8>>| {
        pem.map(String::from_utf8).transpose().map_err(|_| {
            openshifter_server::RequestError::Request(format!(
                "the CA certificate for {} is not PEM text",
                access.name
            ))
        })
    };
    let (username, password): (Option<String>, Option<SecretString>) = match access.credentials {
        Credentials::Password { username, password } => (Some(username), Some(password)),
        _ => (None, None),
    };
    Ok(EndpointSpec {
        ca: pem(access.trust.ca_pem)?,
        insecure: access.trust.insecure,
        oauth_ca: pem(access.trust.oauth_ca_pem)?,
        oauth_insecure: access.trust.oauth_insecure,
        name: Some(access.name),
        context: None,
        base: Some(access.base.to_string()),
        project,
        username,
        password,
        token: None,
    })
}

fn policy(prompter: &mut dyn Prompter) -> Result<Policy, ClientError> {
    let policies = [
        (
            Policy::Move,
            "Move: the source is deleted when the target is ready; in one and the same project, before the import",
        ),
        (
            Policy::PingPong,
            "Ping-Pong: what is at the target is kept as a backup and deleted before the import",
        ),
        (Policy::Copy, "Copy: nothing is deleted"),
    ];
    let texts = policies.map(|(_, text)| text.to_owned());
    let index = prompter.choose("Policy", &texts)?;
    policies
        .get(index)
        .map(|(policy, _)| *policy)
        .ok_or_else(|| PromptError::Ended.into())
}

/// What will be done, for the person to agree to.
pub(crate) fn summary(request: &MigrationRequest, plan: &PlanBody) -> String {
    let end = |end: &EndpointSpec| {
        let mut text = format!(
            "{}, project {}",
            end.name.as_deref().unwrap_or_default(),
            end.project
        );
        if let Some(username) = &end.username {
            text.push_str(&format!(", as {username}"));
        }
        if end.insecure {
            text.push_str(" (its certificate is not checked)");
        }
        text
    };
    let mut text = format!(
        "\nSource: {}\nTarget: {}\nPolicy: {}{}\n",
        end(&request.source),
        end(&request.target),
        request.policy,
        if plan.in_place { ", in place" } else { "" },
    );
    text.push_str("Steps:\n");
    for (index, step) in plan.steps.iter().enumerate() {
        text.push_str(&format!("  {}. {step}\n", index + 1));
    }
    // What everybody can pull is no news.
    let images: Vec<&str> = plan
        .images
        .lines()
        .filter(|line| !line.ends_with(": external"))
        .collect();
    if !images.is_empty() {
        text.push_str("Images:\n");
    }
    for line in images {
        text.push_str(&format!("  {line}\n"));
    }
    match &plan.deletes {
        Some(deletes) => {
            text.push_str("What is deleted, in this order:\n");
            for line in deletes.lines() {
                text.push_str(&format!("  {line}\n"));
            }
        }
        None => text.push_str("Nothing is deleted.\n"),
    }
    text
}
