//! The README is true: its commands and programs run against the demo.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use std::{fs, process::Command};

use support::{Gateway, PATIENCE, Peers, Process, node_command, python_command};

const README: &str = include_str!("../README.md");

/// The address that the README uses, the demo's default.
const ADDRESS: &str = "127.0.0.1:50051";

/// The code blocks of a language.
fn blocks(language: &str) -> Vec<&'static str> {
    let fence = format!("```{language}\n");
    README
        .split(&fence)
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect()
}

/// The commands that call a program, each with the output that stands behind it.
fn commands(program: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    for block in blocks("console") {
        let mut wanted = false;
        for line in block.lines() {
            if let Some(command) = line.strip_prefix("$ ") {
                wanted = command.starts_with(program);
                if wanted {
                    found.push((command.to_owned(), String::new()));
                }
            } else if wanted && let Some((_, output)) = found.last_mut() {
                output.push_str(line.trim());
                output.push('\n');
            }
        }
    }
    found
}

/// A shell that finds the installed grpcurl, with a command of the README for this gateway.
fn shell(command: &str, gateway: &Gateway) -> Command {
    let grpcurl = Peers::provision().grpcurl().parent().unwrap().to_owned();
    let path = std::env::var("PATH").unwrap_or_default();
    let mut shell = Command::new("sh");
    shell
        .arg("-c")
        .arg(format!(
            "exec {}",
            command.replace(ADDRESS, gateway.address())
        ))
        .env("PATH", format!("{}:{path}", grpcurl.display()));
    shell
}

#[tokio::test]
async fn the_tour_with_grpcurl_works() {
    let gateway = demo().await;
    let commands = commands("grpcurl");
    let is_stream = |command: &str| command.contains("/Subscribe");
    let (mut streams, mut calls) = (0, 0);
    for (index, (command, output)) in commands.iter().enumerate() {
        if is_stream(command) {
            // The call behind a stream makes the robot send the event.
            let (cause, _) = &commands[index + 1];
            sees(&gateway, command, output, cause).await;
            streams += 1;
            continue;
        }
        let process = Process::spawn("grpcurl", &mut shell(command, &gateway));
        let printed = process.finish(PATIENCE).await.success();
        if !output.is_empty() {
            let printed: Vec<&str> = printed.lines().map(str::trim).collect();
            assert_eq!(printed.join("\n"), output.trim(), "{command}");
        }
        calls += 1;
    }
    assert!(calls >= 9 && streams == 2, "the tour is found");
}

/// Runs a stream of the README, and what makes it deliver the value in its output.
async fn sees(gateway: &Gateway, command: &str, output: &str, cause: &str) {
    let command = command.replace("-plaintext", "-plaintext -v");
    let stream = Process::spawn("grpcurl", &mut shell(&command, gateway));
    let accepted = |line: &str| line.starts_with("Response headers received");
    stream.wait_line(accepted, PATIENCE).await;
    let cause = Process::spawn("grpcurl", &mut shell(cause, gateway));
    cause.finish(PATIENCE).await.success();
    let value = output
        .lines()
        .find(|line| line.contains("alue\": "))
        .unwrap();
    stream
        .wait_line(|line| line.trim() == value, PATIENCE)
        .await;
}

#[tokio::test]
async fn the_python_program_works() {
    let gateway = demo().await;
    let printed = run("python", "py", python_command, &gateway).await;
    assert_eq!(printed.trim(), "0.5");
}

#[tokio::test]
async fn the_node_program_works() {
    let gateway = demo().await;
    let printed = run("js", "cjs", node_command, &gateway).await;
    assert_eq!(printed.trim(), "bang 42");
}

/// Runs the only program of a language, and gives what it prints.
async fn run(
    language: &str,
    extension: &str,
    command: fn(&str) -> Command,
    gateway: &Gateway,
) -> String {
    let [program] = blocks(language)[..] else {
        panic!("one program in {language}");
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(format!("readme.{extension}"));
    fs::write(&file, program.replace(ADDRESS, gateway.address())).unwrap();
    let process = Process::spawn(language, &mut command(file.to_str().unwrap()));
    process.finish(PATIENCE).await.success()
}

async fn demo() -> Gateway {
    let gateway = Gateway::demo().await;
    gateway.wait_serving("qi.foo.v1.Foo").await;
    gateway
}
