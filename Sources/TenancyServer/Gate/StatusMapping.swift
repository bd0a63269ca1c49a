import Tenancy
import TenancyRPC
import TenancyWire

/// Domain errors to RPC status, in this one file: code, message and `google.rpc` details (AIP-193).
enum StatusMapping {
  /// `ErrorInfo.domain` of every reason of this framework.
  static let domain = "tenancy.v1"

  /// Bytes of one text in an error. Some quote the request, and all must fit into trailers.
  static let maximumTextBytes = 512
  /// Bytes of all violations in an error. The others are counted only.
  static let maximumViolationBytes = 1536

  /// Enough for most errors, details included. Larger ones take more.
  static let arenaBytes = 2 * 1024

  static func status(of error: TenancyError) -> RPCStatus {
    let code = code(of: error.category)
    let message = error.message.clipped(toBytes: maximumTextBytes)
    let arena = Arena(firstBlock: arenaBytes)
    let status = GoogleRPC.Status(
      code: Int32(code.rawValue), message: message, details: details(of: error, arena))
    return RPCStatus(code, message, details: status.encode(arena: arena))
  }

  /// A status of the RPC runtime's own, with the details that every error of this API has.
  static func describe(_ status: RPCStatus) -> RPCStatus {
    let arena = Arena(firstBlock: arenaBytes)
    let reason =
      switch status.code {
      case .unimplemented: TenancyError.Reason.notImplemented.rawValue
      case .resourceExhausted: TenancyError.Reason.limitReached.rawValue
      // What the runtime says so of is the peer's certificate.
      case .unauthenticated: TenancyError.Reason.identityRevoked.rawValue
      default: status.code.description
      }
    var details = [
      pack("google.rpc.ErrorInfo", GoogleRPC.ErrorInfo(reason: reason, domain: domain), arena)
    ]
    if let delay = status.retryAfter {
      let info = GoogleRPC.RetryInfo(
        retryDelay: GoogleProtobuf.Duration(seconds: max(1, delay.components.seconds)))
      details.append(pack("google.rpc.RetryInfo", info, arena))
    } else if status.code == .resourceExhausted {
      let violation = GoogleRPC.BadRequest.FieldViolation(
        field: "request", description: status.message)
      details.append(
        pack("google.rpc.BadRequest", GoogleRPC.BadRequest(fieldViolations: [violation]), arena))
    }
    let message = GoogleRPC.Status(
      code: Int32(status.code.rawValue), message: status.message, details: details)
    return RPCStatus(status.code, status.message, details: message.encode(arena: arena))
  }

  private static func details(
    of error: TenancyError, _ arena: Arena
  ) -> [GoogleProtobuf.`Any`] {
    var details = [
      pack(
        "google.rpc.ErrorInfo",
        GoogleRPC.ErrorInfo(
          reason: error.reason.rawValue, domain: domain,
          metadata: error.metadata.mapValues { $0.clipped(toBytes: maximumTextBytes) }), arena)
    ]
    if !error.violations.isEmpty {
      let request = GoogleRPC.BadRequest(fieldViolations: violations(of: error))
      details.append(pack("google.rpc.BadRequest", request, arena))
    }
    if error.category == .failedPrecondition {
      let violation = GoogleRPC.PreconditionFailure.Violation(
        type: error.reason.rawValue, description: error.message.clipped(toBytes: maximumTextBytes))
      details.append(
        pack(
          "google.rpc.PreconditionFailure",
          GoogleRPC.PreconditionFailure(violations: [violation]), arena))
    }
    if error.category == .resourceExhausted {
      // Errors about a quota say whose, and which, in their metadata.
      let violation = GoogleRPC.QuotaFailure.Violation(
        subject: error.metadata["subject"] ?? "",
        description: error.message.clipped(toBytes: maximumTextBytes))
      details.append(
        pack("google.rpc.QuotaFailure", GoogleRPC.QuotaFailure(violations: [violation]), arena))
    }
    if let seconds = error.retryAfterSeconds {
      let delay = GoogleProtobuf.Duration(seconds: seconds)
      details.append(pack("google.rpc.RetryInfo", GoogleRPC.RetryInfo(retryDelay: delay), arena))
    }
    return details
  }

  /// The first of them, as many as fit, and how many there are more.
  private static func violations(
    of error: TenancyError
  ) -> [GoogleRPC.BadRequest.FieldViolation] {
    var told: [GoogleRPC.BadRequest.FieldViolation] = []
    var bytes = 0
    for violation in error.violations {
      let field = violation.field.clipped(toBytes: maximumTextBytes)
      let description = violation.description.clipped(toBytes: maximumTextBytes)
      bytes += field.utf8.count + description.utf8.count
      guard bytes <= maximumViolationBytes else {
        let left = error.violations.count - told.count
        return told + [.init(field: "request", description: "and \(left) more violations")]
      }
      told.append(.init(field: field, description: description))
    }
    return told
  }

  private static func pack(
    _ type: String, _ message: some WireMessage, _ arena: Arena
  ) -> GoogleProtobuf.`Any` {
    GoogleProtobuf.`Any`(
      typeUrl: "type.googleapis.com/\(type)", value: message.encode(arena: arena))
  }

  static func code(of category: TenancyError.Category) -> RPCStatus.Code {
    switch category {
    case .invalidArgument: .invalidArgument
    case .notFound: .notFound
    case .alreadyExists: .alreadyExists
    case .failedPrecondition: .failedPrecondition
    case .permissionDenied: .permissionDenied
    case .aborted: .aborted
    case .unavailable: .unavailable
    case .unimplemented: .unimplemented
    case .resourceExhausted: .resourceExhausted
    case .unauthenticated: .unauthenticated
    case .internalError: .internalError
    case .cancelled: .cancelled
    case .outOfRange: .outOfRange
    }
  }
}
