//! Usage texts.
//!
//! Models: etcd v3.6.13 pkg/cobrautl/help.go. Left out: the descriptions of single commands.

use super::Tool;
use super::commands::{API_VERSION, Target, VERSION, group_of};
use super::flags::{Flag, Kind};

/// Width of a tab, [columns] – constant; etcd: tabwriter's tabwidth, 8.
const TAB: usize = 8;

/// What `--help` prints.
pub(crate) fn usage(tool: Tool, target: Target) -> String {
    let name = tool.name();
    let (path, title, arguments, short) = match target {
        Target::Root => (name.to_string(), name, "", root_short(tool)),
        Target::Group(group) => (format!("{name} {}", group.name), group.name, "<subcommand>", group.short),
        Target::Command(command) => {
            (format!("{name} {}", command.name), command.name, command.arguments, command.short)
        }
    };
    let line: Vec<&str> = [path.as_str(), arguments, "[flags]"].into_iter().filter(|part| !part.is_empty()).collect();
    let mut out = format!("NAME:\n  {title} - {short}\n\nUSAGE:\n  {}\n\n", line.join(" "));
    if matches!(target, Target::Root) {
        out.push_str(&format!("VERSION:\n  {VERSION}\n\n"));
    }
    if !matches!(target, Target::Command(_)) {
        out.push_str(&format!("API VERSION:\n  {API_VERSION}\n\nCOMMANDS:\n"));
        out.push_str(&columns(&subcommands(tool, target)));
        out.push('\n');
    }
    let help = [(Flag::help(), format!("help for {}", title.rsplit(' ').next().unwrap_or(title)))];
    let own: &[Flag] = match target {
        Target::Root => tool.globals(),
        Target::Group(group) => group.flags,
        Target::Command(command) => command.flags,
    };
    out.push_str(&format!("OPTIONS:\n{}\n", flags(own, &help)));
    let inherited: &[Flag] = match target {
        Target::Command(command) => group_of(tool, command.name).map_or(&[], |group| group.flags),
        _ => &[],
    };
    if !matches!(target, Target::Root) {
        let all: Vec<&Flag> = tool.globals().iter().chain(inherited).collect();
        out.push_str(&format!("GLOBAL OPTIONS:\n{}\n", flag_lines(&all, &[])));
    }
    out
}

fn root_short(tool: Tool) -> &'static str {
    match tool {
        Tool::Etcdctl => "A simple command line client for etcd3.",
        Tool::Etcdutl => "An administrative command line tool for etcd3.",
    }
}

fn subcommands(tool: Tool, target: Target) -> Vec<(String, String)> {
    let commands = tool.commands().iter();
    let shown = commands.filter_map(|command| match target {
        Target::Root => Some((command.name, command.short)),
        Target::Group(group) => Some((command.name.strip_prefix(group.name)?.strip_prefix(' ')?, command.short)),
        Target::Command(_) => None,
    });
    shown.map(|(name, short)| (format!("  {name}"), short.to_string())).collect()
}

fn flags(own: &[Flag], more: &[(&Flag, String)]) -> String {
    flag_lines(&own.iter().collect::<Vec<_>>(), more)
}

fn flag_lines(own: &[&Flag], more: &[(&Flag, String)]) -> String {
    let own = own.iter().map(|flag| (*flag, flag.usage.to_string()));
    let mut all: Vec<(&Flag, String)> = own.chain(more.iter().cloned()).collect();
    all.sort_by_key(|(flag, _)| flag.name);
    let rows: Vec<(String, String)> = all
        .into_iter()
        .map(|(flag, usage)| {
            let short = if flag.short.is_empty() { "    ".into() } else { format!("-{}, ", flag.short) };
            let value = match flag.kind {
                Kind::Bool => format!("[={}]", flag.default),
                Kind::Text => format!("=\"{}\"", flag.default),
                _ => format!("={}", flag.default),
            };
            (format!("  {short}--{}{value}", flag.name), usage)
        })
        .collect();
    columns(&rows)
}

/// Two columns with tabs between them.
fn columns(rows: &[(String, String)]) -> String {
    let widest = rows.iter().map(|(left, _)| left.len() + 1).max().unwrap_or(0).next_multiple_of(TAB);
    rows.iter()
        .map(|(left, right)| {
            let tabs = (widest - left.len()).div_ceil(TAB);
            format!("{left}{}{right}\n", "\t".repeat(tabs))
        })
        .collect()
}

impl Flag {
    fn help() -> &'static Flag {
        &Flag { name: "help", short: "h", kind: Kind::Bool, default: "false", usage: "" }
    }
}
