public import TenancyRPC
public import TenancyWire

/// What a Tenancy server says of an error beyond its code (AIP-193). Each is empty or nil where the
/// server said nothing, or nothing that can be read.
extension RPCStatus {
  /// The stable reason, its domain and its metadata.
  public var errorInfo: GoogleRPC.ErrorInfo? { detail("google.rpc.ErrorInfo") }

  /// The request's fields that were not accepted.
  public var fieldViolations: [GoogleRPC.BadRequest.FieldViolation] {
    let found: GoogleRPC.BadRequest? = detail("google.rpc.BadRequest")
    return found?.fieldViolations ?? []
  }

  /// How long to wait before the call may succeed.
  public var retryDelay: Duration? {
    let found: GoogleRPC.RetryInfo? = detail("google.rpc.RetryInfo")
    return found?.retryDelay.map { .seconds($0.seconds) + .nanoseconds(Int64($0.nanos)) }
  }

  /// The first detail of a type. `Any` names types by URL; only what follows the last slash counts.
  private func detail<Detail: WireMessage>(_ type: String) -> Detail? {
    guard !details.isEmpty, let status: GoogleRPC.Status = Self.decode(details) else { return nil }
    let found = status.details.first { $0.typeUrl.split(separator: "/").last == type[...] }
    return found.flatMap { Self.decode($0.value) }
  }

  private static func decode<Message: WireMessage>(_ bytes: [UInt8]) -> Message? {
    // Unreadable details are as good as none: the code and the message stand without them.
    unsafe bytes.withUnsafeBytes { unsafe try? Message(decoding: $0, arena: Arena()) }
  }
}
