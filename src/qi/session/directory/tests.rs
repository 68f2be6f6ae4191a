use super::*;
use crate::qi::session::tests::recorded::{Frame, frames};

/// The reply to the first call of `action` of the directory.
fn reply(frames: &[Frame], action: u32) -> Bytes {
    let found = frames.iter().find(|frame| {
        let address = frame.message.address;
        !frame.from_client
            && (address.service, address.action) == (ServiceId::DIRECTORY, ActionId(action))
    });
    found.unwrap().message.payload.clone()
}

fn layout(signature: &str) -> ServiceInfoLayout {
    ServiceInfoLayout::of(&signature.parse().unwrap()).unwrap()
}

#[test]
fn recorded_descriptions_round_trip() {
    let new = "(sIsI[s]ss)<ServiceInfo,name,serviceId,machineId,processId,endpoints,sessionId,\
               objectUid>";
    let old = "(sIsI[s]s)<ServiceInfo,name,serviceId,machineId,processId,endpoints,sessionId>";
    for (recording, signature) in [("services_list", new), ("old_server_25", old)] {
        let layout = layout(signature);
        let frames = frames(recording);
        let limits = Limits::default();
        let one = reply(&frames, 100);
        let info = layout.decode(&one, &limits).unwrap();
        assert_eq!(layout.encode(&info).unwrap(), one, "{recording}");

        let services = layout.decode_list(&reply(&frames, 101), &limits).unwrap();
        assert!(services.contains(&info), "{recording}");
        assert_eq!(layout.has_object_uid(), info.object_uid.is_some());
    }
}

#[test]
fn identities_are_bytes() {
    let layout = layout("(sIsI[s]ss)");
    let services = layout
        .decode_list(&reply(&frames("services_list"), 101), &Limits::default())
        .unwrap();
    assert_eq!(services[0].name, "ServiceDirectory");
    assert_eq!(services[0].object_uid.as_deref(), Some(&[][..]));
    assert_eq!(services[1].object_uid.as_ref().unwrap().len(), 20);
}

#[test]
fn other_layouts_are_refused() {
    for signature in ["(sIsI[s])", "(sIsI[s]sss)", "m", "(sisI[s]s)"] {
        assert_eq!(ServiceInfoLayout::of(&signature.parse().unwrap()), None);
    }
}

#[test]
fn truncated_descriptions_are_malformed() {
    let payload = reply(&frames("services_list"), 101);
    let layout = layout("(sIsI[s]ss)");
    for end in [0, 3, 10, payload.len() - 1] {
        let cut = payload.slice(..end);
        assert!(matches!(
            layout.decode_list(&cut, &Limits::default()),
            Err(CallError::Malformed { .. })
        ));
    }
}

#[test]
fn changes_are_read_with_and_without_their_signature() {
    let plain = Bytes::from_static(b"\x05\0\0\0\x03\0\0\0foo");
    let expected = Some((ServiceId(5), "foo".to_owned()));
    assert_eq!(changed_service(&plain, Flags::NONE), expected);
    let dynamic = Bytes::from_static(b"\x04\0\0\0(Is)\x05\0\0\0\x03\0\0\0foo");
    assert_eq!(changed_service(&dynamic, Flags::DYNAMIC_PAYLOAD), expected);
    assert_eq!(changed_service(&dynamic, Flags::NONE), None);
}
