//! How panels lie round the terminal, as it is written to a file, and the arrangements that come with the program.
//!
//! A layout is a tree of rows and columns with tabs at its leaves. What is read from a file may be anything: [`Layout::checked`] lets
//! through only what has the terminal exactly once and no panel twice.

use crate::gui::panels::Side;
use egui::Id;
use egui_tiles::{Container, Linear, LinearDir, Tabs, Tile, TileId, Tiles, Tree};
use serde::{Deserialize, Serialize};

/// The pane with the guest's terminal.
pub const TERMINAL: &str = "terminal";
/// Rows and columns within one another.
const DEPTH_MAX: usize = 16;
/// Part of the window's width that the right side takes, and of its height the bottom.
const RIGHT: f32 = 0.34;
const BOTTOM: f32 = 0.36;

/// An arrangement of panels.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Preset {
    /// The guest alone.
    Guest,
    /// Engine and caches to the right, promotions below.
    Engine,
    /// What helps to follow single pieces of code.
    Debug,
}

impl Preset {
    /// All of them.
    pub const ALL: [Preset; 3] = [Preset::Guest, Preset::Engine, Preset::Debug];

    /// Its panels; those that this version has not are left out.
    const fn panels(self) -> &'static [&'static str] {
        match self {
            Preset::Guest => &[],
            Preset::Engine => &["engine", "caches", "hot", "promotions"],
            Preset::Debug => &["hot", "inspector"],
        }
    }

    /// The arrangement, when these panels with their places are all there are.
    pub fn layout(self, known: &[(&'static str, Side)]) -> Layout {
        let wanted = known.iter().filter(|(id, _)| self.panels().contains(id));
        // Beside what is inspected, not behind it.
        let side = |id, side| if self == Preset::Debug && id == "hot" { Side::Right } else { side };
        wanted.fold(Layout::default(), |layout, (id, s)| layout.with(id, side(*id, *s), known))
    }
}

/// A place in the window.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Node {
    /// Panes on one another, one of which is seen.
    Tabs {
        /// The panes.
        panes: Vec<String>,
        /// Number of the seen one.
        active: usize,
    },
    /// Beside one another, each with its share.
    Row(Vec<(f32, Node)>),
    /// Below one another, each with its share.
    Column(Vec<(f32, Node)>),
}

/// A whole layout.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Layout {
    /// The place of all.
    pub root: Node,
}

impl Default for Layout {
    fn default() -> Layout {
        Layout { root: leaf(TERMINAL) }
    }
}

fn leaf(id: &str) -> Node {
    Node::Tabs { panes: vec![id.to_owned()], active: 0 }
}

impl Node {
    /// Whether a pane lies in it.
    fn has(&self, id: &str) -> bool {
        match self {
            Node::Tabs { panes, .. } => panes.iter().any(|p| p == id),
            Node::Row(parts) | Node::Column(parts) => parts.iter().any(|(_, part)| part.has(id)),
        }
    }

    /// Leaves out unknown panes and those that came before; `None` if nothing stays.
    fn checked(self, known: &[&str], seen: &mut Vec<String>, depth: usize) -> Option<Node> {
        match self {
            Node::Tabs { panes, active } => {
                let shown = panes.get(active).cloned();
                let mut kept = Vec::new();
                for pane in panes {
                    if (pane == TERMINAL || known.contains(&pane.as_str())) && !seen.contains(&pane) {
                        seen.push(pane.clone());
                        kept.push(pane);
                    }
                }
                let active = kept.iter().position(|p| Some(p) == shown.as_ref()).unwrap_or(0);
                (!kept.is_empty()).then_some(Node::Tabs { panes: kept, active })
            }
            Node::Row(parts) => checked_parts(parts, known, seen, depth).map(Node::Row),
            Node::Column(parts) => checked_parts(parts, known, seen, depth).map(Node::Column),
        }
    }

    fn add_to(&self, tiles: &mut Tiles<&'static str>, known: &[&'static str]) -> TileId {
        match self {
            Node::Tabs { panes, active } => {
                let name = |pane: &String| known.iter().find(|k| *k == pane).copied();
                let children: Vec<_> =
                    panes.iter().filter_map(name).map(|pane| tiles.insert_pane(pane)).collect();
                let mut tabs = Tabs::new(children);
                tabs.active = tabs.children.get(*active).copied();
                tiles.insert_container(tabs)
            }
            Node::Row(parts) => add_linear(tiles, known, parts, LinearDir::Horizontal),
            Node::Column(parts) => add_linear(tiles, known, parts, LinearDir::Vertical),
        }
    }
}

fn checked_parts(
    parts: Vec<(f32, Node)>,
    known: &[&str],
    seen: &mut Vec<String>,
    depth: usize,
) -> Option<Vec<(f32, Node)>> {
    if depth >= DEPTH_MAX {
        return None;
    }
    let share = |share: f32| if share.is_finite() { share.clamp(0.05, 20.0) } else { 1.0 };
    let check = |(s, part): (f32, Node)| Some((share(s), part.checked(known, seen, depth + 1)?));
    let kept: Vec<_> = parts.into_iter().filter_map(check).collect();
    (!kept.is_empty()).then_some(kept)
}

fn add_linear(
    tiles: &mut Tiles<&'static str>,
    known: &[&'static str],
    parts: &[(f32, Node)],
    dir: LinearDir,
) -> TileId {
    let children: Vec<_> = parts.iter().map(|(share, part)| (part.add_to(tiles, known), *share)).collect();
    let mut linear = Linear::new(dir, children.iter().map(|(id, _)| *id).collect());
    for (id, share) in children {
        linear.shares.set_share(id, share);
    }
    tiles.insert_container(linear)
}

impl Layout {
    /// What of it can be used when these panels are all there are; `None` if it is no layout of this program.
    pub fn checked(self, known: &[&str]) -> Option<Layout> {
        let root = self.root.checked(known, &mut Vec::new(), 0)?;
        root.has(TERMINAL).then_some(Layout { root })
    }

    /// The layout of a tree.
    pub fn of(tree: &Tree<&'static str>) -> Layout {
        let root = tree.root.and_then(|root| node(&tree.tiles, root, 0));
        root.filter(|root| root.has(TERMINAL)).map_or_else(Layout::default, |root| Layout { root })
    }

    /// The tree of a layout, for the machine with this number.
    pub fn tree(&self, name: u64) -> Tree<&'static str> {
        let known: Vec<&'static str> =
            crate::gui::panels::all().iter().map(|p| p.id()).chain([TERMINAL]).collect();
        let mut tiles = Tiles::default();
        let root = self.root.add_to(&mut tiles, &known);
        Tree::new(Id::unique(("dock", name)), root, tiles)
    }

    /// With one more panel at a side, beside those that lie there.
    #[must_use]
    pub fn with(self, id: &str, side: Side, known: &[(&'static str, Side)]) -> Layout {
        let there = |node: &Node| known.iter().any(|(k, s)| *s == side && *k != id && node.has(k));
        let new = leaf(id);
        let root = match (side, self.root) {
            (Side::Right, Node::Row(mut parts)) => {
                match parts.last_mut().filter(|(_, last)| !last.has(TERMINAL) && there(last)) {
                    Some((_, last)) => *last = below(std::mem::replace(last, leaf(id)), new),
                    None => parts.push((share(&parts, RIGHT), new)),
                }
                Node::Row(parts)
            }
            (Side::Right, root) => Node::Row(vec![(1.0 - RIGHT, root), (RIGHT, new)]),
            (Side::Bottom, root) => under_guest(root, new),
        };
        Layout { root }
    }
}

/// A share that is this part of the whole, beside parts that have theirs.
fn share(parts: &[(f32, Node)], part: f32) -> f32 {
    let sum: f32 = parts.iter().map(|(s, _)| s).sum();
    sum * part / (1.0 - part)
}

/// A node with another one below it.
fn below(upper: Node, lower: Node) -> Node {
    match upper {
        Node::Column(mut parts) => {
            let sum: f32 = parts.iter().map(|(s, _)| s).sum();
            parts.push((sum / crate::gui::format::lossy(parts.len()), lower));
            Node::Column(parts)
        }
        // The first one of two has a little more room.
        upper => Node::Column(vec![(1.1, upper), (1.0, lower)]),
    }
}

/// Puts a pane below the terminal: as a tab beside what lies there already, or as a new part.
fn under_guest(node: Node, new: Node) -> Node {
    match node {
        Node::Row(parts) => {
            let mut new = Some(new);
            let put = |(share, part): (f32, Node)| match new.take_if(|_| part.has(TERMINAL)) {
                Some(new) => (share, under_guest(part, new)),
                None => (share, part),
            };
            Node::Row(parts.into_iter().map(put).collect())
        }
        Node::Column(mut parts) => {
            match (parts.last_mut(), new) {
                (Some((_, Node::Tabs { panes, active })), Node::Tabs { panes: new, .. })
                    if !panes.iter().any(|p| p == TERMINAL) =>
                {
                    *active = panes.len();
                    panes.extend(new);
                }
                (_, new) => {
                    let share = share(&parts, BOTTOM);
                    parts.push((share, new));
                }
            }
            Node::Column(parts)
        }
        tabs => Node::Column(vec![(1.0 - BOTTOM, tabs), (BOTTOM, new)]),
    }
}

fn node(tiles: &Tiles<&'static str>, id: TileId, depth: usize) -> Option<Node> {
    if depth > 2 * DEPTH_MAX {
        return None;
    }
    match tiles.get(id)? {
        Tile::Pane(pane) => Some(leaf(pane)),
        Tile::Container(Container::Tabs(tabs)) => {
            let mut panes = Vec::new();
            let mut active = 0;
            for child in &tabs.children {
                if tabs.active == Some(*child) {
                    active = panes.len();
                }
                match tiles.get(*child) {
                    Some(Tile::Pane(pane)) => panes.push((*pane).to_owned()),
                    // Rows within tabs are not written: their panes become tabs.
                    Some(Tile::Container(_)) => panes.extend(panes_of(&node(tiles, *child, depth + 1)?)),
                    None => {}
                }
            }
            (!panes.is_empty()).then_some(Node::Tabs { panes, active })
        }
        Tile::Container(Container::Linear(linear)) => {
            let part = |child: &TileId| Some((linear.shares[*child], node(tiles, *child, depth + 1)?));
            let parts: Vec<_> = linear.children.iter().filter_map(part).collect();
            let whole = if linear.dir == LinearDir::Horizontal { Node::Row } else { Node::Column };
            (!parts.is_empty()).then(|| whole(parts))
        }
        Tile::Container(Container::Grid(grid)) => {
            let parts: Vec<_> =
                grid.children().filter_map(|c| Some((1.0, node(tiles, *c, depth + 1)?))).collect();
            (!parts.is_empty()).then_some(Node::Row(parts))
        }
    }
}

fn panes_of(node: &Node) -> Vec<String> {
    match node {
        Node::Tabs { panes, .. } => panes.clone(),
        Node::Row(parts) | Node::Column(parts) => parts.iter().flat_map(|(_, part)| panes_of(part)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [(&str, Side); 3] =
        [("engine", Side::Right), ("caches", Side::Right), ("promotions", Side::Bottom)];

    fn ids() -> Vec<&'static str> {
        KNOWN.iter().map(|(id, _)| *id).collect()
    }

    #[test]
    fn presets_have_their_panels_and_survive_the_tree() {
        for preset in Preset::ALL {
            let layout = preset.layout(&KNOWN);
            assert!(layout.root.has(TERMINAL));
            for (id, _) in KNOWN {
                assert_eq!(layout.root.has(id), preset.panels().contains(&id), "{preset:?} {id}");
            }
            assert_eq!(Layout::of(&layout.tree(1)), layout, "{preset:?}");
            let text = serde_json::to_string(&layout).expect("written");
            let read: Layout = serde_json::from_str(&text).expect("read");
            assert_eq!(read.checked(&ids()), Some(layout));
        }
        assert_eq!(Preset::Guest.layout(&KNOWN), Layout::default());
    }

    #[test]
    fn what_is_read_is_cleaned_or_refused() {
        let tabs = |panes: &[&str], active| Node::Tabs {
            panes: panes.iter().map(|p| (*p).to_owned()).collect(),
            active,
        };
        let twice = Layout {
            root: Node::Row(vec![
                (f32::NAN, tabs(&["terminal", "engine", "engine", "from a later version"], 3)),
                (-4.0, tabs(&["terminal", "caches"], 1)),
                (1e30, Node::Column(vec![])),
            ]),
        };
        let clean = twice.checked(&ids()).expect("usable");
        let expected = Node::Row(vec![(1.0, tabs(&["terminal", "engine"], 0)), (0.05, tabs(&["caches"], 0))]);
        assert_eq!(clean.root, expected);
        assert_eq!(Layout { root: tabs(&["engine"], 0) }.checked(&ids()), None, "no terminal");
        let mut deep = tabs(&["terminal"], 0);
        for _ in 0..40 {
            deep = Node::Row(vec![(1.0, deep)]);
        }
        assert_eq!(Layout { root: deep }.checked(&ids()), None);
    }

    #[test]
    fn panels_open_beside_those_of_their_side() {
        let layout = Layout::default().with("caches", Side::Right, &KNOWN);
        let layout = layout.with("promotions", Side::Bottom, &KNOWN).with("engine", Side::Right, &KNOWN);
        let Node::Row(parts) = &layout.root else { panic!("a row") };
        assert!(matches!(&parts[0].1, Node::Column(p) if p.len() == 2 && p[1].1.has("promotions")));
        assert!(matches!(&parts[1].1, Node::Column(p) if p.len() == 2 && p[1].1.has("engine")));
    }
}
