//! Answers about members, alarms and the leader.
//!
//! Models: etcd v3.6.13 etcdctl/ctlv3/command/printer.go, printer_simple.go, printer_fields.go, printer_json.go.

use super::header_fields;
use super::json::{self, Object};
use super::quote::quoted;
use super::table::table;
use crate::etcdctl::commands::Format;
use crate::etcdctl::failure::Failure;
use crate::etcdctl::session::{Session, Step, out_of_order};
use crate::etcdctl::{Alarm, AlarmType, Header, Member, Reply, Response};

/// `member list`
pub(crate) fn members(s: &mut Session, response: &Response) -> Step<()> {
    let Reply::Members(members) = &response.reply else { return Err(out_of_order()) };
    let rows: Vec<Vec<String>> = members.iter().map(row).collect();
    let text = match s.settings.format {
        Format::Simple => rows.iter().map(|row| row.join(", ") + "\n").collect(),
        Format::Table => table(&["ID", "Status", "Name", "Peer Addrs", "Client Addrs", "Is Learner"], &rows),
        Format::Json => changed_json(s.settings.hex, response, None, members),
        Format::Fields => members.iter().fold(header_fields(&response.header), |text, m| text + &*fields(m)),
        Format::Protobuf => return Err(Failure::unsupported("protobuf").into()),
    };
    s.print(&text);
    Ok(())
}

/// `member add|remove|promote|update`; `what` is such as `removed from`.
pub(crate) fn member_changed(s: &mut Session, what: &str, id: u64, response: &Response) -> Step<()> {
    let (member, members) = match &response.reply {
        Reply::MemberAdded { member, members } => (Some(member), members),
        Reply::Members(members) => (None, members),
        _ => return Err(out_of_order()),
    };
    let text = match s.settings.format {
        Format::Simple => {
            let id = member.map_or(id, |member| member.id);
            format!("Member {id:16x} {what} cluster {:16x}\n", response.header.cluster_id)
        }
        Format::Json => changed_json(s.settings.hex, response, member, members),
        other => return unsupported(other),
    };
    s.print(&text);
    Ok(())
}

/// `alarm list`; `alarm disarm` gathers its own answer, which has no header.
pub(crate) fn alarms(s: &mut Session, header: Option<&Header>, alarms: &[Alarm]) -> Step<()> {
    let name = |alarm: &Alarm| match alarm.alarm {
        AlarmType::NoSpace => "NOSPACE",
        AlarmType::Corrupt => "CORRUPT",
    };
    let text = match s.settings.format {
        Format::Simple => alarms.iter().map(|a| format!("memberID:{} alarm:{} \n", a.member, name(a))).collect(),
        Format::Json => {
            let number = |alarm: &Alarm| match alarm.alarm {
                AlarmType::NoSpace => 1,
                AlarmType::Corrupt => 2,
            };
            let list =
                alarms.iter().map(|a| Object::default().number("memberID", a.member).number("alarm", number(a)).end());
            let object = header.iter().fold(Object::default(), |o, h| o.raw("header", &json::header(h, false)));
            object.list("alarms", list).end() + "\n"
        }
        Format::Fields => alarms.iter().fold(header.map_or(String::new(), header_fields), |text, a| {
            text + &*format!("\"MemberID\" : {}\n\"AlarmType\" : {}\n\n", a.member, name(a))
        }),
        other => return unsupported(other),
    };
    s.print(&text);
    Ok(())
}

/// `move-leader`
pub(crate) fn leader_moved(s: &mut Session, from: u64, to: u64, response: &Response) -> Step<()> {
    let text = match s.settings.format {
        Format::Simple => format!("Leadership transferred from {from:x} to {to:x}\n"),
        Format::Json => Object::default().raw("header", &json::header(&response.header, false)).end() + "\n",
        other => return unsupported(other),
    };
    s.print(&text);
    Ok(())
}

fn row(member: &Member) -> Vec<String> {
    let status = if member.name.is_empty() { "unstarted" } else { "started" };
    vec![
        format!("{:x}", member.id),
        status.into(),
        member.name.clone(),
        member.peer_urls.join(","),
        member.client_urls.join(","),
        member.is_learner.to_string(),
    ]
}

fn changed_json(hex: bool, response: &Response, member: Option<&Member>, members: &[Member]) -> String {
    let object = Object::default().raw("header", &json::header(&response.header, hex));
    let object = member.iter().fold(object, |object, m| object.raw("member", &json::member(m, hex)));
    object.list("members", members.iter().map(|m| json::member(m, hex))).end() + "\n"
}

fn fields(member: &Member) -> String {
    let urls = |name: &str, urls: &[String]| {
        urls.iter().map(|url| format!("\"{name}\" : {}\n", quoted(url))).collect::<String>()
    };
    format!(
        "\"ID\" : {}\n\"Name\" : {}\n{}{}\"IsLearner\" : {}\n\n",
        member.id,
        quoted(&member.name),
        urls("PeerURL", &member.peer_urls),
        urls("ClientURL", &member.client_urls),
        member.is_learner
    )
}

fn unsupported(format: Format) -> Step<()> {
    let name = match format {
        Format::Fields => "fields",
        Format::Table => "table",
        _ => "protobuf",
    };
    Err(Failure::unsupported(name).into())
}
