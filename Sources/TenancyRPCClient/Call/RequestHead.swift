internal import TenancyRPCCore

/// What a call says before its messages, checked. A protocol engine takes it as it is.
struct RequestHead: Sendable {
  let path: String
  let kind: CallKind
  var metadata: RPCMetadata
  /// The request's messages may be compressed with gzip.
  var usesGzip = false
  /// Attempts that were made before, not counting those that the server did not look at.
  var previousAttempts = 0

  /// Checks what the protocol demands of `metadata`: the peer would answer with a bare reset.
  init(path: String, kind: CallKind, metadata: RPCMetadata, limits: ClientLimits) throws(RPCStatus)
  {
    guard path.utf8.first == UInt8(ascii: "/"), path.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F })
    else { throw RPCStatus(.internalError, "\(path) is not a method's path") }
    try Self.check(metadata, path: path, limits)
    self.path = path
    self.kind = kind
    self.metadata = metadata
  }

  /// The runtime's own calls.
  init(path: StaticString, kind: CallKind) {
    self.path = "\(path)"
    self.kind = kind
    metadata = RPCMetadata()
  }

  /// The head with more metadata, checked again.
  func adding(_ more: RPCMetadata, limits: ClientLimits) throws(RPCStatus) -> RequestHead {
    var head = self
    head.metadata.append(more)
    try Self.check(head.metadata, path: path, limits)
    return head
  }

  private static func check(
    _ metadata: RPCMetadata, path: String, _ limits: ClientLimits
  ) throws(RPCStatus) {
    var size = path.utf8.count
    for entry in metadata.entries {
      guard entry.isName, !entry.isReserved else {
        throw RPCStatus(.internalError, "metadata can't have the name \(entry.name)")
      }
      guard entry.value.utf8.allSatisfy({ $0 >= 0x20 && $0 <= 0x7E }) else {
        throw RPCStatus(
          .internalError, "the value of \(entry.name) in the metadata is not printable ASCII")
      }
      size += entry.name.utf8.count + entry.value.utf8.count + 32
    }
    if size > limits.maximumMetadataBytes {
      throw RPCStatus(
        .resourceExhausted, "the metadata is larger than \(limits.maximumMetadataBytes) bytes")
    }
  }
}
