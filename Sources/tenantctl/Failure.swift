import Foundation
import Tenancy
import TenancyClient
import TenancyCrypto
import TenancyRPC
import TenancyTokens
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

/// The answer could not be shown.
struct OutputFailure: Error {
  let reason: String
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
    case let error as AuditFault:
      self.init(lines: [error.description], exitCode: Self.refused)
    case let error as OutputFailure:
      self.init(lines: ["cannot write the answer: \(error.reason)"], exitCode: Self.refused)
    case let error as InputFailure:
      self.init(lines: [error.reason], exitCode: Self.refused)
    case let error as FleetFailure:
      self.init(lines: error.lines, exitCode: Self.refused)
    case let error as TokenRefusal:
      self.init(
        lines: ["\(error.reason.rawValue): \(error.detail)"], exitCode: Self.refused)
    case let error as TLSError:
      // Only what the connection itself met is a failed connection: the rest are files on this side.
      self.init(lines: [error.description], exitCode: Self.refused)
    case let error as StoreError:
      self.init(
        lines: error.description.split(separator: "\n").map(String.init)
          + (error.code == .conflict ? ["hint: --replace replaces it"] : []),
        exitCode: Self.refused)
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
    // What a violation says is not said twice.
    let isRepeated = violations.contains {
      status.message.hasPrefix("\($0.field): \($0.description)")
    }
    let message = status.message.isEmpty || isRepeated ? "" : ": \(status.message)"
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
      connectionHint(failure)
    case .deadlineExceeded:
      "no answer from \(failure.endpoint) in \(failure.timeout) seconds; --timeout allows more"
    case .unauthenticated where failure.status.errorInfo?.reason.hasPrefix("TOKEN_") == true:
      tokenHint(failure.status.errorInfo?.reason ?? "")
    case .unauthenticated:
      switch failure.endpoint {
      case .unix: "the server must be told to accept this Unix user"
      case .tcp: "the server accepts no certificate but of its CA and trust domains"
      }
    case .permissionDenied where failure.status.errorInfo?.reason == "IDENTITY_UNKNOWN":
      "there is no tenant, or no longer, of the name that the certificate carries"
    case .permissionDenied:
      "`tenantctl whoami` shows who the server takes you for"
    case .aborted where failure.status.errorInfo?.reason == "WRITE_CONFLICT":
      "nothing was changed: try again"
    case .aborted where failure.status.errorInfo?.reason == "POLICY_CHANGED":
      "somebody was faster: plan again"
    case .aborted:
      "somebody was faster: `get` it again, then use the new etag"
    default:
      nil
    }
  }

  private static func tokenHint(_ reason: String) -> String? {
    switch reason {
    case TokenRefusal.Reason.expired.rawValue: "`tenantctl token exchange` gets a new one"
    case TokenRefusal.Reason.binding.rawValue:
      "--cert and --key must be those of the certificate that the token was issued for"
    case TokenRefusal.Reason.unbound.rawValue:
      "a token without a certificate is for gateways: `tenantctl token exchange` gets one for --cert"
    default: "`tenantctl token inspect` shows what the token claims"
    }
  }

  /// What the channel's own words about a connection that failed suggest, and nothing else.
  private static func connectionHint(_ failure: CallFailure) -> String? {
    let message = failure.status.message
    func says(_ words: String...) -> Bool { words.contains { message.contains($0) } }
    return if says("cannot find the server's address") {
      "no such host: check the name in \(failure.endpoint)"
    } else if says("Permission denied") {
      "this user may not open the socket: its group and mode are the server's configuration"
    } else if says("is not for the name") {
      "the server's certificate is for another name: --server-name says which is meant"
    } else if says("its CA is unknown here", "it is not of the CA that it names") {
      "is --ca the CA of the server's certificate?"
    } else if says("refused: certificate has expired", "refused: certificate is not yet valid") {
      "the server needs a new certificate, or the clock here is wrong"
    } else if says("our certificate: it has expired") {
      "--cert and --key need a new certificate"
    } else if says("our certificate: it does not know its CA") {
      "--cert is of a CA that the server does not have"
    } else if says("our certificate") {
      "the log of the server says why"
    } else if says("does not speak TLS") {
      "is \(failure.endpoint) the server's TLS port?"
    } else if says("Connection refused", "No such file", "Connection timed out") {
      "is a server listening on \(failure.endpoint)?"
    } else {
      "the connection to \(failure.endpoint) failed"
    }
  }
}
