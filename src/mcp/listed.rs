//! What lists list, and the calls that their entries stand for.

/// What an entry of a list is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Listed {
    /// A tool, to be called.
    Tool,
    /// A prompt, to be got.
    Prompt,
    /// A resource, to be read.
    Resource,
    /// A template of resources, to be filled in and read.
    Template,
}

impl Listed {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Tool, Self::Prompt, Self::Resource, Self::Template];

    /// The member of a result that lists them.
    pub fn member(self) -> &'static str {
        match self {
            Self::Tool => "tools",
            Self::Prompt => "prompts",
            Self::Resource => "resources",
            Self::Template => "resourceTemplates",
        }
    }

    /// The member of an entry by which it is called.
    pub fn key(self) -> &'static str {
        match self {
            Self::Tool | Self::Prompt => "name",
            Self::Resource => "uri",
            Self::Template => "uriTemplate",
        }
    }

    /// The method of that call.
    pub fn method(self) -> &'static str {
        match self {
            Self::Tool => "tools/call",
            Self::Prompt => "prompts/get",
            Self::Resource | Self::Template => "resources/read",
        }
    }
}

/// Is the answer to this method a list, or what clients keep as they keep one?
pub fn is_list(method: &str) -> bool {
    matches!(method, "tools/list" | "prompts/list" | "resources/list" | "resources/templates/list" | "server/discover")
}

/// May its answer have a list? What is in a directory is listed as resources are, but of one that
/// policy lets be read.
pub fn may_list(method: &str) -> bool {
    is_list(method) || method == "resources/directory/read"
}
