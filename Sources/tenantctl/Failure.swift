import Foundation
import PKI
import RPC
import TenancyClient
import TenancyWire

/// Arguments that don't make sense together.
struct UsageError: Error, Equatable, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

/// A call that failed, and on which connection.
struct CallFailure: Error {
  let status: RPCStatus
  let endpoint: Endpoint
  let timeout: Double
}

/// What a command that fails says on stderr, and its exit code.
struct Failure {
  static let refused: Int32 = 1
  static let noConnection: Int32 = 2
  static let answerIsNo: Int32 = 3
  static let usage: Int32 = 64

  let lines: [String]
  let exitCode: Int32

  /// Nil for errors that ArgumentParser reports by itself.
  init?(_ error: any Error) {
    switch error {
    case let error as UsageError:
      self.init(lines: [error.description], exitCode: Self.usage)
    case let error as CallFailure:
      self.init(
        status: error.status, info: error.status.errorInfo,
        violations: error.status.fieldViolations,
        hint: Self.hint(error))
    case let error as TLSError:
      self.init(lines: [error.description], exitCode: Self.noConnection)
    case let error as PKIError:
      self.init(
        lines: [error.description] + (error.code == .exists ? ["hint: --force replaces it"] : []),
        exitCode: error.code == .invalidName || error.code == .invalidLifetime
          ? Self.usage : Self.refused)
    default:
      return nil
    }
  }

  private init(lines: [String], exitCode: Int32) {
    self.lines = lines
    self.exitCode = exitCode
  }

  /// `CODE (REASON): message`, the fields that were refused, and what may help.
  init(
    status: RPCStatus, info: GoogleRPC.ErrorInfo?,
    violations: [GoogleRPC.BadRequest.FieldViolation], hint: String?
  ) {
    let reason = info.map { $0.reason.isEmpty ? "" : " (\($0.reason))" } ?? ""
    let message = status.message.isEmpty ? "" : ": \(status.message)"
    let noConnection = status.code == .unavailable || status.code == .deadlineExceeded
    self.init(
      lines: ["\(status.code)\(reason)\(message)"]
        + violations.map {
          $0.field.isEmpty ? "  \($0.description)" : "  \($0.field): \($0.description)"
        }
        + (hint.map { ["hint: \($0)"] } ?? []),
      exitCode: noConnection ? Self.noConnection : Self.refused)
  }

  /// The text for stderr. What came from the server must not steer the terminal.
  var text: String {
    lines.enumerated().map { index, line in
      (index == 0 ? "tenantctl: " : "") + Printable.text(line) + "\n"
    }.joined()
  }

  func report() { FileHandle.standardError.write(Data(text.utf8)) }

  static func hint(_ failure: CallFailure) -> String? {
    switch failure.status.code {
    case .unavailable where failure.status.details.isEmpty:
      "is a server listening on \(failure.endpoint)?"
    case .deadlineExceeded:
      "no answer from \(failure.endpoint) in \(failure.timeout) seconds; --timeout allows more"
    case .unauthenticated:
      switch failure.endpoint {
      case .unix: "the server must be told to accept this Unix user"
      case .tcp: "the server accepts no certificate but of its CA and trust domains"
      }
    case .permissionDenied:
      "`tenantctl whoami` shows who the server takes you for"
    case .aborted:
      "somebody was faster: `get` it again, then use the new etag"
    default:
      nil
    }
  }
}
