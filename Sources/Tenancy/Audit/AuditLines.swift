/// An exported record, one line of a file:
///
///     {"chain":"{platform or tenant id}","sequence":{n},"hash":"{hex}","record":"{hex}"}
///
/// A signed checkpoint, likewise:
///
///     {"chain":"…","sequence":{n},"hash":"{hex}","count":{n},"time":{n},"signature":"{hex}"}
///
/// Nothing else is in a line, so that every changed byte of it shows. `AuditEncoding` tells the rest.
public struct AuditLine: Hashable, Sendable {
  /// The record, as it is stored.
  public let record: StoredAuditRecord

  /// A line for `record`.
  public init(_ record: StoredAuditRecord) { self.record = record }

  /// JSON without spaces and without the end of the line.
  public var text: String {
    "{\"chain\":\"\(record.chain)\",\"sequence\":\(record.sequence),\"hash\":\""
      + "\(HexBytes.text(record.hash))\",\"record\":\"\(HexBytes.text(record.bytes))\"}"
  }

  /// Nil for anything that `text` does not make.
  public init?(parsing text: String) {
    let parts = Self.parts(text)
    guard parts.count == 15, let chain = AuditChain(parsing: parts[3]),
      let sequence = UInt64(parts[6].dropFirst().dropLast()), let hash = HexBytes.bytes(parts[9]),
      let bytes = HexBytes.bytes(parts[13])
    else { return nil }
    record = StoredAuditRecord(chain: chain, sequence: sequence, bytes: bytes, hash: hash)
    guard self.text == text else { return nil }
  }

  fileprivate static func parts(_ text: String) -> [String] {
    text.split(separator: "\"", omittingEmptySubsequences: false).map(String.init)
  }
}

/// Where a chain ended at some time, or begins since then, signed.
public struct AuditCheckpoint: Hashable, Sendable {
  /// Raw values are those of the lines.
  public enum Kind: String, Hashable, Sendable {
    /// The chain ended here.
    case end
    /// What is up to here was removed for its age or number, and may be missing.
    case begin
  }

  /// Whether the chain ends or begins here.
  public let kind: Kind
  /// The chain that it is about.
  public let chain: AuditChain
  /// The newest record that is signed for.
  public let head: AuditHead
  /// Records in the chain up to here, those that were removed as well.
  public let count: UInt64
  /// When it was signed.
  public let time: Timestamp
  /// The life of the store; nil: a checkpoint of an earlier version, which does not tell.
  public let incarnation: String?
  /// Ed25519 over the checkpoint's encoding: 64 bytes.
  public let signature: [UInt8]

  /// - Parameters:
  ///   - incarnation: see `ControlStore.incarnationID`.
  ///   - sign: signs these bytes with Ed25519.
  public init<Failure: Error>(
    _ chain: AuditChain, _ head: AuditHead, kind: Kind = .end, time: Timestamp,
    incarnation: String?, sign: ([UInt8]) throws(Failure) -> [UInt8]
  ) throws(Failure) {
    self.kind = kind
    self.chain = chain
    self.head = head
    self.time = time
    self.incarnation = incarnation
    count = head.sequence
    signature = try sign(
      AuditEncoding.checkpointInput(
        kind, chain, head, count: head.sequence, time: time, incarnation: incarnation))
  }

  /// What the signature is over.
  public var signedBytes: [UInt8] {
    AuditEncoding.checkpointInput(
      kind, chain, head, count: count, time: time, incarnation: incarnation)
  }

  /// JSON without spaces and without the end of the line.
  public var text: String {
    let life = incarnation.map { "\"kind\":\"\(kind.rawValue)\",\"incarnation\":\"\($0)\"," } ?? ""
    return "\(Self.start)\(chain)\",\"sequence\":\(head.sequence),\"hash\":\""
      + "\(HexBytes.text(head.hash))\",\"count\":\(count),\"time\":\(time.nanoseconds),"
      + "\(life)\"signature\":\"\(HexBytes.text(signature))\"}"
  }

  /// With what each line begins.
  public static let start = "{\"chain\":\""

  /// The whole one that follows another, which was cut off, in the same line.
  public init?(afterCutOff text: String) {
    let starts = text.ranges(of: Self.start)
    guard starts.count > 1, let last = starts.last else { return nil }
    self.init(parsing: String(text[last.lowerBound...]))
  }

  /// Nil for anything that `text` does not make. The signature is not looked at.
  public init?(parsing text: String) {
    let parts = AuditLine.parts(text)
    guard parts.count == 19 || parts.count == 27, let chain = AuditChain(parsing: parts[3]),
      let sequence = UInt64(parts[6].dropFirst().dropLast()), let hash = HexBytes.bytes(parts[9]),
      let count = UInt64(parts[12].dropFirst().dropLast()),
      let time = Int64(parts[14].dropFirst().dropLast()),
      let signature = HexBytes.bytes(parts[parts.count - 2]),
      let kind = parts.count == 19 ? Kind.end : Kind(rawValue: parts[17])
    else { return nil }
    self.kind = kind
    self.chain = chain
    head = AuditHead(sequence: sequence, hash: hash)
    self.count = count
    self.time = Timestamp(nanoseconds: time)
    incarnation = parts.count == 19 ? nil : parts[21]
    self.signature = signature
    guard self.text == text else { return nil }
  }
}
