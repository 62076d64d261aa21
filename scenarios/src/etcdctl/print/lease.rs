//! Answers about leases.
//!
//! Models: etcd v3.6.13 etcdctl/ctlv3/command/printer_simple.go, printer_fields.go, client/v3/lease.go (JSON names).

use super::bytes::base64;
use super::header_fields;
use super::json::{self, Object, array};
use super::quote::quoted_bytes;
use crate::etcdctl::commands::Format;
use crate::etcdctl::failure::Failure;
use crate::etcdctl::session::{Session, Step, out_of_order};
use crate::etcdctl::{Reply, Response};

pub(crate) fn granted(s: &mut Session, response: &Response) -> Step<()> {
    let Reply::LeaseGrant { id, ttl } = &response.reply else { return Err(out_of_order()) };
    let text = match s.settings.format {
        Format::Simple => format!("lease {id:016x} granted with TTL({ttl}s)\n"),
        Format::Json => id_and_ttl(response, *id, *ttl).raw("Error", "\"\"").end() + "\n",
        Format::Fields => format!("{}\"ID\" : {id}\n\"TTL\" : {ttl}\n", header_fields(&response.header)),
        other => return unsupported(other),
    };
    s.print(&text);
    Ok(())
}

pub(crate) fn revoked(s: &mut Session, id: i64, response: &Response) -> Step<()> {
    let text = match s.settings.format {
        Format::Simple => format!("lease {id:016x} revoked\n"),
        Format::Json => Object::default().raw("header", &json::header(&response.header, false)).end() + "\n",
        Format::Fields => header_fields(&response.header),
        other => return unsupported(other),
    };
    s.print(&text);
    Ok(())
}

pub(crate) fn kept_alive(s: &mut Session, id: i64, response: &Response) -> Step<()> {
    let Reply::LeaseKeepAlive { ttl } = &response.reply else { return Err(out_of_order()) };
    let text = match s.settings.format {
        Format::Simple => format!("lease {id:016x} keepalived with TTL({ttl})\n"),
        Format::Json => id_and_ttl(response, id, *ttl).end() + "\n",
        Format::Fields => format!("{}\"ID\" : {id}\n\"TTL\" : {ttl}\n", header_fields(&response.header)),
        other => return unsupported(other),
    };
    s.print(&text);
    Ok(())
}

pub(crate) fn time_to_live(s: &mut Session, id: i64, with_keys: bool, response: &Response) -> Step<()> {
    let Reply::LeaseTimeToLive { ttl, granted_ttl, keys } = &response.reply else { return Err(out_of_order()) };
    let text = match s.settings.format {
        Format::Simple if *granted_ttl == 0 && *ttl == -1 => format!("lease {id:016x} already expired\n"),
        Format::Simple => {
            let names: Vec<_> = keys.iter().map(|key| String::from_utf8_lossy(key)).collect();
            let names = if with_keys { format!(", attached keys([{}])", names.join(" ")) } else { String::new() };
            format!("lease {id:016x} granted with TTL({granted_ttl}s), remaining({ttl}s){names}\n")
        }
        Format::Json => {
            let keys = match keys.is_empty() {
                true => "null".into(),
                false => array(keys.iter().map(|key| format!("\"{}\"", base64(key)))),
            };
            json::header_fields(&response.header)
                .raw("id", &id.to_string())
                .raw("ttl", &ttl.to_string())
                .raw("granted-ttl", &granted_ttl.to_string())
                .raw("keys", &keys)
                .end()
                + "\n"
        }
        Format::Fields => {
            let header = header_fields(&response.header);
            let keys: String = keys.iter().map(|key| format!("\"Key\" : {}\n", quoted_bytes(key))).collect();
            format!("{header}\"ID\" : {id}\n\"TTL\" : {ttl}\n\"GrantedTTL\" : {granted_ttl}\n{keys}")
        }
        other => return unsupported(other),
    };
    s.print(&text);
    Ok(())
}

pub(crate) fn listed(s: &mut Session, response: &Response) -> Step<()> {
    let Reply::Leases(ids) = &response.reply else { return Err(out_of_order()) };
    let text = match s.settings.format {
        Format::Simple => {
            ids.iter().fold(format!("found {} leases\n", ids.len()), |text, id| text + &*format!("{id:016x}\n"))
        }
        Format::Json => {
            let leases = array(ids.iter().map(|id| Object::default().raw("id", &id.to_string()).end()));
            json::header_fields(&response.header).raw("leases", &leases).end() + "\n"
        }
        Format::Fields => {
            ids.iter().fold(header_fields(&response.header), |text, id| text + &*format!("\"ID\" : {id}\n"))
        }
        other => return unsupported(other),
    };
    s.print(&text);
    Ok(())
}

fn id_and_ttl(response: &Response, id: i64, ttl: i64) -> Object {
    json::header_fields(&response.header).raw("ID", &id.to_string()).raw("TTL", &ttl.to_string())
}

fn unsupported(format: Format) -> Step<()> {
    Err(Failure::unsupported(if format == Format::Table { "table" } else { "protobuf" }).into())
}
