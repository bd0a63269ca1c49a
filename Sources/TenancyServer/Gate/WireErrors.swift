import CTenancyProtobufC
import Tenancy
import TenancyRPC
import TenancyWire

/// What is wrong with a request's bytes, as the framework's own error.
enum WireErrors {
  @inline(__always)
  static func decode<Message: WireMessage>(
    _: Message.Type, _ bytes: UnsafeRawBufferPointer, _ arena: Arena, _ rule: MethodRule
  ) throws(TenancyError) -> UnsafePointer<Message.CMessage> {
    try RequestLimits.check(bytes, Message.descriptor, reason: rule.excessReason)
    do throws(WireError) {
      return try Message.decode(bytes, arena: arena)
    } catch {
      throw describe(error)
    }
  }

  static func read<Message: WireMessage>(
    _: Message.Type, _ message: UnsafePointer<Message.CMessage>
  ) throws(TenancyError) -> Message {
    do throws(FieldViolation) {
      return try Message(reading: message)
    } catch {
      throw .invalid(error.field, error.description)
    }
  }

  /// A string field's bytes, valid UTF-8 without NUL, where they are in the request.
  static func text(
    _ data: ProtobufCBinaryData, _ field: StaticString
  ) throws(TenancyError) -> UnsafeRawBufferPointer {
    do throws(FieldViolation) {
      return try WireText.validate(data, field: field)
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
