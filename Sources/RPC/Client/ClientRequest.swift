/// A unary call as a protocol engine takes it.
struct ClientRequest: Sendable {
  let path: String
  let message: [UInt8]
  let metadata: Metadata

  /// Checks what the protocol demands of `metadata`: the peer would answer with a bare reset.
  init(path: String, message: [UInt8], metadata: Metadata, limits: ClientLimits) throws(RPCStatus) {
    guard path.utf8.first == UInt8(ascii: "/"), path.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F })
    else { throw RPCStatus(.internalError, "\(path) is not a method's path") }
    guard UInt32(exactly: message.count) != nil else {
      throw RPCStatus(.resourceExhausted, "the request message is larger than 4 GiB")
    }
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
    self.path = path
    self.message = message
    self.metadata = metadata
  }
}
