/// A question to a resolver (RFC 1035 §4.1.2), of the class IN.
package struct DNSQuestion: Hashable, Sendable {
  /// What is asked for. Raw values are those of the wire.
  package enum Kind: UInt16, Sendable, CaseIterable {
    case ipv4 = 1
    case text = 16
    case ipv6 = 28
  }

  package let kind: Kind
  /// Labels with their lengths, in lower case, up to the empty one.
  let name: [UInt8]

  /// - Parameter name: without a dot at its end.
  /// - Returns: nil for what can't be asked.
  package init?(_ name: String, _ kind: Kind) {
    var bytes: [UInt8] = []
    for label in name.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false) {
      guard (1...63).contains(label.count) else { return nil }
      bytes.append(UInt8(label.count))
      bytes += label.map(DNSMessage.lowercase)
    }
    bytes.append(0)
    guard (3...DNSMessage.maximumNameBytes).contains(bytes.count) else { return nil }
    self.name = bytes
    self.kind = kind
  }

  /// The whole message, which asks for recursion.
  package func message(id: UInt16) -> [UInt8] {
    [UInt8(id >> 8), UInt8(id & 0xFF), 0x01, 0, 0, 1, 0, 0, 0, 0, 0, 0] + name
      + [UInt8(kind.rawValue >> 8), UInt8(kind.rawValue & 0xFF), 0, 1]
  }
}

/// What a resolver says.
package enum DNSAnswer: Hashable, Sendable {
  /// The data of all records that there are of this name and kind; maybe none.
  case records([[UInt8]])
  /// There is no such name.
  case noName
  /// There is more than fits into a datagram.
  case truncated
  /// It can't or doesn't want to say.
  case failed(code: UInt8)
}

/// Reads the answer to one question. Strict, and bounded by the message; no I/O.
package enum DNSMessage {
  /// Of a name on the wire.
  static let maximumNameBytes = 255
  /// Records that are looked at.
  static let maximumRecords = 256
  /// Aliases that are followed.
  private static let maximumAliases = 8
  private static let alias: UInt16 = 5

  private struct Record {
    let owner: [UInt8]
    let kind: UInt16
    let data: ArraySlice<UInt8>
    /// Where an alias leads; empty for others.
    var target: [UInt8] = []
  }

  /// - Parameter message: with indices from 0.
  /// - Returns: nil where it is no answer to this question, which somebody else may have sent.
  /// - Throws: `.response` for an answer that can't be read.
  package static func read(
    _ message: [UInt8], to question: DNSQuestion, id: UInt16
  ) throws(FetchFailure) -> DNSAnswer? {
    guard message.count >= 12, number(message, 0) == id, message[2] & 0xF8 == 0x80,
      number(message, 4) == 1
    else { return nil }
    var at = 12
    guard let asked = name(message, &at), asked == question.name, at + 4 <= message.count,
      number(message, at) == question.kind.rawValue, number(message, at + 2) == 1
    else { return nil }
    at += 4
    // What did not fit may be any of it.
    if message[2] & 0x02 != 0 { return .truncated }
    switch message[3] & 0x0F {
    case 0: break
    case 3: return .noName
    case let code: return .failed(code: code)
    }
    let count = Int(number(message, 6))
    guard count <= maximumRecords else { throw wrong("has more than \(maximumRecords) records") }
    var records: [Record] = []
    for _ in 0..<count {
      guard let record = record(message, &at) else { throw wrong("has a record that is none") }
      if let record { records.append(record) }
    }
    return .records(try answers(to: question, in: records))
  }

  /// Those of the name, or of what it is an alias of.
  private static func answers(
    to question: DNSQuestion, in records: [Record]
  ) throws(FetchFailure) -> [[UInt8]] {
    var name = question.name
    for _ in 0...maximumAliases {
      let found = records.filter { $0.owner == name && $0.kind == question.kind.rawValue }
      if !found.isEmpty { return found.map { Array($0.data) } }
      guard let next = records.first(where: { $0.owner == name && $0.kind == alias }) else {
        return []
      }
      name = next.target
    }
    throw wrong("leads from alias to alias")
  }

  /// - Returns: nil for what is no record; a nil in it for one of another class.
  private static func record(_ message: [UInt8], _ at: inout Int) -> Record?? {
    guard let owner = name(message, &at), at + 10 <= message.count else { return nil }
    let (kind, recordClass) = (number(message, at), number(message, at + 2))
    let length = Int(number(message, at + 8))
    at += 10
    guard length <= message.count - at else { return nil }
    var record = Record(owner: owner, kind: kind, data: message[at..<at + length])
    if kind == alias {
      var start = at
      guard let target = name(message, &start), start == at + length else { return nil }
      record.target = target
    }
    at += length
    return .some(recordClass == 1 ? record : nil)
  }

  /// A name in lower case, with its lengths. A part that stands elsewhere stands before (RFC 1035 §4.1.4): so that none
  /// has no end.
  private static func name(_ message: [UInt8], _ at: inout Int) -> [UInt8]? {
    var name: [UInt8] = []
    var (place, end, limit): (Int, Int?, Int) = (at, nil, at)
    while place < message.count {
      let length = Int(message[place])
      switch length {
      case 0:
        name.append(0)
        at = end ?? place + 1
        return name
      case 1...63:
        guard length < message.count - place, name.count + length + 2 <= maximumNameBytes else {
          return nil
        }
        name.append(message[place])
        name += message[place + 1...place + length].map(lowercase)
        place += length + 1
      case 0xC0...0xFF:
        guard place + 1 < message.count else { return nil }
        let target = (length & 0x3F) << 8 | Int(message[place + 1])
        guard target < limit else { return nil }
        end = end ?? place + 2
        (place, limit) = (target, target)
      default: return nil
      }
    }
    return nil
  }

  /// What a text record says: its strings, one behind the other (RFC 1035 §3.3.14).
  /// - Returns: nil for what is none.
  package static func text(_ data: [UInt8]) -> [UInt8]? {
    var text: [UInt8] = []
    var at = 0
    while at < data.count {
      let length = Int(data[at])
      guard length < data.count - at else { return nil }
      text += data[at + 1..<at + 1 + length]
      at += length + 1
    }
    return text
  }

  /// In range: callers have looked that both bytes are there.
  private static func number(_ message: [UInt8], _ at: Int) -> UInt16 {
    UInt16(message[at]) << 8 | UInt16(message[at + 1])
  }

  static func lowercase(_ byte: UInt8) -> UInt8 {
    (0x41...0x5A).contains(byte) ? byte | 0x20 : byte
  }

  private static func wrong(_ what: String) -> FetchFailure {
    FetchFailure(.response, "the resolver's answer \(what)")
  }
}
