import Tenancy
import TenancyRPC
import TenancyWire

/// What is wrong with a request's bytes, as the framework's own error.
enum WireErrors {
  /// Decodes a request and lends it, if it does not describe too much.
  @inline(__always)
  static func withView<Message: WireMessage, Result>(
    _: Message.Type, of bytes: UnsafeRawBufferPointer, _ arena: Arena, _ rule: MethodRule,
    _ body: (borrowing MessageView<Message>) throws(TenancyError) -> Result
  ) throws(TenancyError) -> Result {
    try RequestLimits.check(bytes, Message.self, reason: rule.excessReason)
    return try Message.withView(of: bytes, arena: arena, failure: describe, body)
  }

  /// The request as a value.
  static func read<Message: WireMessage>(
    _ request: borrowing MessageView<Message>
  ) throws(TenancyError) -> Message {
    do throws(FieldViolation) {
      return try request.copy()
    } catch {
      throw .invalid(error.field, error.description)
    }
  }

  /// A message within the request, as a value.
  static func read<Message: WireMessage>(
    _ message: borrowing MessageView<Message>, inside field: String
  ) throws(TenancyError) -> Message {
    do throws(FieldViolation) {
      return try message.copy()
    } catch {
      throw .invalid("\(field).\(error.field)", error.description)
    }
  }

  /// A string field's bytes, valid UTF-8 without NUL, where they are in the request.
  @_lifetime(copy field)
  static func text(_ field: borrowing TextView) throws(TenancyError) -> RawSpan {
    do throws(FieldViolation) {
      return try field.text
    } catch {
      throw .invalid(error.field, error.description)
    }
  }

  private static func describe(_ error: WireError) -> TenancyError {
    switch error {
    case .malformed: .invalid("request", "not an encoding of the request message")
    case .tooLarge:
      TenancyError(
        .resourceExhausted, .limitReached, "the request describes more than the server will hold",
        violations: [
          TenancyError.FieldViolation(field: "request", description: "describes too much")
        ])
    case .violation(let violation): .invalid(violation.field, violation.description)
    }
  }
}
