//! The server's answer on its way to the client.

use proxy_wasm::hostcalls;
use proxy_wasm::types::{Action, BufferType, MapType};

use super::{Stream, apply, now, send};
use crate::gate::{Flow, Piece, Response};

impl Stream {
    pub(super) fn handle_answer_head(&mut self, end: bool) -> Action {
        let header = |name: &str| hostcalls::get_map_value_bytes(MapType::HttpResponseHeaders, name).ok().flatten();
        let (edits, action) = match self.exchange.handle_response(header, end) {
            Response::Untouched => (None, Action::Continue),
            Response::Changed(edits) => (Some(edits), Action::Continue),
            Response::Held(edits) => {
                self.held_answer = Some(0);
                (Some(edits), Action::Pause)
            }
            Response::Refused(reply) => {
                send(&reply);
                return Action::Pause;
            }
        };
        // A page must not read what it was not let to, and nobody gets a session that is
        // anybody's. The request was permitted and recorded; this is about its answer alone.
        if edits.is_some_and(|edits| !apply(MapType::HttpResponseHeaders, &edits)) {
            self.shared.increment("mcp_gate_answers_", "refused");
            send(&self.exchange.failure());
            return Action::Pause;
        }
        self.listed = self.exchange.ends();
        if let Some(ends) = self.listed {
            self.shared.streams.borrow_mut().insert((ends, self.context_id));
        }
        action
    }

    pub(super) fn handle_answer_body(&mut self, size: usize, end: bool) -> Action {
        if end {
            self.unlist();
        } else if self.listed.is_some() && self.exchange.handle_stream(now()) == Flow::Ends {
            let _ = hostcalls::reset_http_response();
            // Nothing more of it goes on; the record is left when it is over.
            return Action::Pause;
        }
        if !self.exchange.reads_answer() {
            return Action::Continue;
        }
        let read = || hostcalls::get_buffer(BufferType::HttpResponseBody, 0, size).ok().flatten();
        let piece = self.exchange.handle_response_body(size, end, read, now);
        self.held_answer = (piece == Piece::Stays).then_some(size);
        match piece {
            Piece::Goes => Action::Continue,
            Piece::Stays => Action::Pause,
            Piece::Becomes(bytes) => match hostcalls::set_buffer(BufferType::HttpResponseBody, 0, size, &bytes) {
                Ok(()) => Action::Continue,
                Err(_) => self.end_answer(),
            },
            Piece::Refused(reply) => {
                send(&reply);
                Action::Pause
            }
            Piece::Ends => self.end_answer(),
        }
    }

    /// What is held is complete. Of a stream of events, nothing is: what its reader keeps
    /// is an event that was not ended, which clients drop as well.
    pub(super) fn handle_answer_trailers(&mut self) -> Action {
        self.unlist();
        match self.held_answer {
            Some(size) => self.handle_answer_body(size, true),
            None => Action::Continue,
        }
    }

    fn end_answer(&self) -> Action {
        let _ = hostcalls::reset_http_response();
        Action::Pause
    }

    /// What became of the answer is known: leaves the record again, and counts.
    pub(super) fn report_answer(&mut self) {
        let (lists, refused) = (self.exchange.lists(), self.exchange.refusals());
        if lists.is_none() && refused == 0 {
            return;
        }
        self.leave_record();
        let lists = lists.unwrap_or_default();
        for (family, member, count) in [
            ("mcp_gate_answers_", "refused", refused),
            ("mcp_gate_list_entries_", "listed", lists.listed),
            ("mcp_gate_list_entries_", "hidden", lists.hidden),
            ("mcp_gate_list_entries_", "failed", lists.failed),
            ("mcp_gate_list_entries_", "changed", lists.changed),
        ] {
            if count > 0 {
                self.shared.increment_by(family, member, count);
            }
        }
    }

    /// Its answer has ended by itself.
    fn unlist(&mut self) {
        if let Some(ends) = self.listed.take() {
            self.shared.streams.borrow_mut().remove(&(ends, self.context_id));
        }
    }
}
