import Tenancy
import TenancyRPC

/// How much one request may describe: it is looked through before it is decoded.
enum RequestLimits {
  /// A request of no more bytes is decoded without a look: it can't describe much.
  static let unexaminedBytes = 1024
  /// Fields, those of the messages in it included, known or not. The largest requests that make sense
  /// (1,000 checks, 1,000 flags and a mask that names them) have 4,000.
  static let maximumFields = 5_000
  /// Bytes of all texts together. What this version does not know is passed over, however long.
  static let maximumTextBytes = 512 * 1024

  static var measure: MessageMeasure {
    MessageMeasure(maximumFields: maximumFields, maximumTextBytes: maximumTextBytes)
  }

  /// - Parameter reason: of the error for what is over a limit.
  /// - Throws: INVALID_ARGUMENT; the field it names is the one that went too far.
  static func check<Message: WireMessage>(
    _ request: UnsafeRawBufferPointer, _: Message.Type, reason: TenancyError.Reason
  ) throws(TenancyError) {
    guard request.count > unexaminedBytes else { return }
    var measure = measure
    do throws(FieldViolation) {
      try measure.read(request, as: Message.self)
    } catch {
      throw error.field.isEmpty
        ? .invalid("request", error.description)
        : .invalid(error.field, error.description, reason: reason)
    }
  }
}
