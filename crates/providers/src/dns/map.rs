//! DNS messages, built and read: pure.

use std::net::IpAddr;

use bascule_core::id::DnsName;
use bascule_core::observation::AddressRecord;
use bascule_core::ports::Record as WantedRecord;
use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};

/// The name with its root dot.
pub(super) fn name(name: &DnsName) -> Result<Name, String> {
    Name::from_ascii(format!("{name}.")).map_err(|e| e.to_string())
}

fn record_type(address: IpAddr) -> RecordType {
    if address.is_ipv4() { RecordType::A } else { RecordType::AAAA }
}

fn data(address: IpAddr) -> RData {
    match address {
        IpAddr::V4(v4) => RData::A(v4.into()),
        IpAddr::V6(v6) => RData::AAAA(v6.into()),
    }
}

/// A question for the addresses of a name.
pub(super) fn question(name: Name, like: IpAddr) -> Message {
    let mut message = Message::query();
    message.metadata.recursion_desired = false;
    message.add_query(Query::query(name, record_type(like)));
    message
}

/// Whether a message is the answer to a question.
pub(super) fn answers(message: &Message, question: &Message) -> bool {
    message.metadata.id == question.metadata.id
        && message.metadata.message_type == MessageType::Response
        && message.queries == question.queries
}

/// The addresses in an answer.
pub(super) fn answer(message: &Message, asked: &Name) -> Result<AddressRecord, String> {
    if message.metadata.response_code != ResponseCode::NoError {
        return Err(format!("answers {}", message.metadata.response_code));
    }
    let mut addresses = Vec::new();
    let mut ttl_s = u32::MAX;
    for record in message.answers.iter().filter(|r| &r.name == asked) {
        match &record.data {
            RData::A(a) => addresses.push(IpAddr::V4(a.0)),
            RData::AAAA(a) => addresses.push(IpAddr::V6(a.0)),
            _ => continue,
        }
        ttl_s = ttl_s.min(record.ttl);
    }
    if addresses.is_empty() {
        return Err("has no address for it".to_owned());
    }
    addresses.sort_unstable();
    Ok(AddressRecord { addresses, ttl_s })
}

/// An update of nothing: whoever may not change the zone is told so all the same.
pub(super) fn no_change(zone: Name) -> Message {
    let mut message = Message::query();
    message.metadata.op_code = OpCode::Update;
    message.metadata.recursion_desired = false;
    let mut zone_query = Query::new();
    zone_query.set_name(zone).set_query_class(DNSClass::IN).set_query_type(RecordType::SOA);
    message.queries.push(zone_query);
    message
}

/// Replace one address record by another, only if it is the whole set now (RFC 2136, section 2.4.2: a
/// prerequisite "RRset exists, value dependent").
pub(super) fn replacement(zone: Name, name: &Name, from: &WantedRecord, to: &WantedRecord) -> Message {
    let mut message = no_change(zone);
    let record = |address, ttl_s| Record::from_rdata(name.clone(), ttl_s, data(address));
    // The prerequisite section travels where answers do, the updates where authorities do.
    message.answers.push(record(from.address, 0));
    let mut delete = record(from.address, 0);
    delete.dns_class = DNSClass::NONE;
    message.authorities.push(delete);
    message.authorities.push(record(to.address, to.ttl_s));
    message
}

/// Tell a secondary that the zone has changed (RFC 1996, section 3).
pub(super) fn notification(zone: Name) -> Message {
    let mut message = Message::query();
    message.metadata.op_code = OpCode::Notify;
    message.metadata.authoritative = true;
    message.metadata.recursion_desired = false;
    message.add_query(Query::query(zone, RecordType::SOA));
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(address: &str, ttl_s: u32) -> WantedRecord {
        WantedRecord { address: address.parse().unwrap(), ttl_s }
    }

    #[test]
    fn only_a_response_with_the_questions_number_is_its_answer() {
        let asked = question(Name::from_ascii("app.events.test.").unwrap(), "10.0.0.1".parse().unwrap());
        let mut response = asked.clone();
        assert!(!answers(&response, &asked), "the question itself");
        response.metadata.message_type = MessageType::Response;
        assert!(answers(&response, &asked));
        response.metadata.id = asked.metadata.id.wrapping_add(1);
        assert!(!answers(&response, &asked), "another number");
    }

    #[test]
    fn a_replacement_asks_first_then_deletes_then_adds() {
        let zone = Name::from_ascii("events.test.").unwrap();
        let name = Name::from_ascii("app.events.test.").unwrap();
        let message = replacement(zone, &name, &wanted("10.0.0.1", 5), &wanted("10.0.0.2", 1));
        let read = Message::from_vec(&message.to_vec().unwrap()).unwrap();
        assert_eq!(read.metadata.op_code, OpCode::Update);
        assert_eq!((read.answers[0].ttl, read.answers[0].dns_class), (0, DNSClass::IN));
        assert_eq!(read.authorities[0].dns_class, DNSClass::NONE);
        assert_eq!(
            (read.authorities[1].ttl, &read.authorities[1].data),
            (1, &data("10.0.0.2".parse().unwrap()))
        );
    }
}
