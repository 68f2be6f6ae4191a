//! A robot's microphone, recorded by the example through gRPC only. The robot is looked for in
//! `QI_ROBOTS_DIR`, by default `../shared/robots`; its samples count up, so that a lost buffer shows.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod support;

use std::{fs, path::Path, process::Command, time::Duration};

use serde_json::json;
use support::{PATIENCE, Peers, Process, hosting::Hosted, nao::Nao};

/// Samples of a second of one microphone.
const RATE: usize = 16_000;

/// Samples of a buffer: the robot sends one every 85 ms.
const BUFFER: usize = 1360;

/// The samples of the robot count modulo this.
const MODULUS: usize = 32_768;

/// What the header of a WAV file takes.
const WAV_HEADER: usize = 44;

/// Starts the example.
fn start(nao: &Nao, seconds: usize, file: &Path) -> Process {
    let example = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/examples/hosting/microphone.py"
    );
    let mut command = Command::new(Peers::provision().python());
    command
        .arg(example)
        .arg(nao.gateway.address())
        .arg(seconds.to_string())
        .arg(file);
    Process::spawn("microphone", &mut command)
}

/// Records as long as told and gives the samples.
async fn record(nao: &Nao, seconds: usize) -> Vec<usize> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("microphone.wav");
    let time = Duration::from_secs(seconds as u64) + PATIENCE;
    let said = start(nao, seconds, &file).finish(time).await;
    let said = said.success();
    let samples = samples(&file);
    let (buffers, count) = (samples.len() / BUFFER, samples.len());
    let end = format!("recorded {count} samples in {buffers} buffers");
    assert_eq!(said.lines().collect::<Vec<_>>(), ["recording", &end]);
    samples
}

fn samples(file: &Path) -> Vec<usize> {
    let sound = fs::read(file).unwrap().split_off(WAV_HEADER);
    let samples = sound.chunks_exact(2);
    samples
        .map(|sample| usize::from(u16::from_le_bytes([sample[0], sample[1]])))
        .collect()
}

/// What the robot has sent from the beginning, in order.
fn assert_complete_until(samples: &[usize]) {
    let missing = (0..).zip(samples).find(|(at, it)| at % MODULUS != **it);
    assert_eq!(missing, None, "sample, and what it should count");
}

/// All that the robot has sent from the beginning, in order.
fn assert_complete(samples: &[usize], seconds: usize) {
    assert_complete_until(samples);
    let buffers = (seconds * RATE).div_ceil(BUFFER);
    assert_eq!(samples.len(), buffers * BUFFER);
}

#[tokio::test]
async fn a_minute_is_recorded_whole_and_in_order() {
    let nao = Nao::start().await;
    let minute = record(&nao, 60).await;
    assert_complete(&minute, 60);
}

/// As from a robot's service that is written in Python, twice in a row.
#[tokio::test]
async fn sound_may_come_as_strings() {
    let nao = Nao::start_with(&["--bytes-as-string"]).await;
    for _ in 0..2 {
        let sound = record(&nao, 3).await;
        assert_complete(&sound, 3);
    }
}

/// Both ended with a traceback of Python.
#[tokio::test]
async fn what_goes_wrong_is_told_in_one_line() {
    let nao = Nao::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("microphone.wav");

    let recording = start(&nao, 600, &file);
    recording
        .wait_line(|line| line == "recording", PATIENCE)
        .await;
    recording.signal("INT");
    let stopped = recording.finish(PATIENCE).await;
    assert_eq!(stopped.stderr.trim_end(), "stopped", "{stopped:?}");
    assert!(stopped.stdout.contains("recorded "), "{stopped:?}");
    assert_complete_until(&samples(&file));

    let name = json!({"name": "GrpcMicrophone"});
    let hosted = Hosted::declare(&nao.grpc, name).await;
    let refused = start(&nao, 1, &file).finish(PATIENCE).await;
    let said = "microphone.py: the bus has a service GrpcMicrophone already";
    assert_eq!(refused.stderr.trim_end(), said, "{refused:?}");
    assert_eq!(refused.status.code(), Some(1));
    hosted.talk.cancel().await;
}
