internal import TenancyLoop

/// Call metadata: names in lower case, in the order received, repeats kept. The values of names that
/// end in `-bin` are still base64 here.
public struct RPCMetadata: Sendable, Hashable, ExpressibleByDictionaryLiteral {
  /// What a call came with, before what was added here.
  private let received: ReceivedMetadata
  private var added: [Entry] = []

  /// All of it. Made anew each time of what has come with a call: to ask for a name costs less.
  public var entries: [Entry] { received.entries + added }

  /// One value of a name; a name may have several.
  public struct Entry: Sendable, Hashable {
    /// In lower case; it ends in `-bin` where the value is base64.
    public let name: String
    /// As it travels: ASCII.
    public let value: String
  }

  /// Without entries.
  public init() { received = ReceivedMetadata() }

  package init(_ received: ReceivedMetadata) { self.received = received }

  public static func == (a: RPCMetadata, b: RPCMetadata) -> Bool { a.entries == b.entries }

  public func hash(into hasher: inout Hasher) { hasher.combine(entries) }

  public init(dictionaryLiteral elements: (String, String)...) {
    self.init()
    for (name, value) in elements { add(name, value) }
  }

  /// Adds a value of printable ASCII; the name is put in lower case. What else it holds is not checked here.
  public mutating func add(_ name: String, _ value: String) {
    added.append(Entry(name: name.lowercased(), value: value))
  }

  /// Adds a value of any bytes. The name ends in `-bin`.
  public mutating func add(_ name: String, bytes: [UInt8]) {
    add(name, String(decoding: GRPCCoding.base64Encode(bytes), as: UTF8.self))
  }

  /// Adds all of `other` behind its own; no value replaces another.
  public mutating func append(_ other: RPCMetadata) { added += other.entries }

  /// The values of a name, in any case, in order.
  public subscript(name: String) -> [String] {
    let name = name.lowercased()
    var values: [String] = []
    received.forEachValue(of: name) { values.append(ReceivedMetadata.text($0)) }
    for entry in added where entry.name == name { values.append(entry.value) }
    return values
  }

  /// Lends the values of a name (lower case), in order.
  package func forEachValue(of name: StaticString, _ body: (UnsafeRawBufferPointer) -> Void) {
    received.forEachValue(of: name, body)
    for entry in added where entry.name == name.description {
      var value = entry.value
      value.withUTF8 { body(UnsafeRawBufferPointer($0)) }
    }
  }

  /// Whether there is a name (lower case).
  package func has(_ name: StaticString) -> Bool {
    received.has(name) || added.contains { $0.name == name.description }
  }

  /// The values of a name that ends in `-bin`, decoded, in order. Several may come in one, with commas
  /// between; what is not base64 is left out, and so are those behind the first `limit`: a peer can send
  /// thousands in no space.
  public func bytes(_ name: String, atMost limit: Int = .max) -> [[UInt8]] {
    var values: [[UInt8]] = []
    received.forEachValue(of: name) { GRPCCoding.decodeList($0, into: &values, limit: limit) }
    for entry in added where entry.name == name {
      var text = entry.value
      text.withUTF8 {
        GRPCCoding.decodeList(UnsafeRawBufferPointer($0), into: &values, limit: limit)
      }
    }
    return values
  }
}

extension RPCMetadata {
  /// Whether a name is one of those that a call's metadata can have, in lower case.
  package static func isKept(_ name: StaticString) -> Bool {
    let entry = Entry(name: name.description, value: "")
    return entry.isName && !entry.isReserved
  }
}

extension RPCMetadata.Entry {
  /// Whether gRPC allows it ("Custom-Metadata" of the protocol document): the name is of its characters
  /// and not reserved, the value printable ASCII.
  package var isSendable: Bool {
    isName && !isReserved && value.utf8.allSatisfy { $0 >= 0x20 && $0 <= 0x7E }
  }

  package var isName: Bool {
    !name.isEmpty
      && name.utf8.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
          UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
          true
        default: false
        }
      }
  }

  /// A name that belongs to gRPC or is HTTP/1's (RFC 9113 §8.2.2).
  package var isReserved: Bool { name.hasPrefix("grpc-") || Self.reserved.contains(name) }

  private static let reserved: Set<String> = [
    "connection", "content-length", "content-type", "host", "keep-alive", "proxy-connection", "te",
    "transfer-encoding", "upgrade", "user-agent",
  ]
}
