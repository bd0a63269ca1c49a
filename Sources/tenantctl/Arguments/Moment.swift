import ArgumentParser
import Foundation
import TenancyWire

/// A moment: `2027-01-31T12:00:00Z`, or a span of time from now on.
struct Moment: Equatable, ExpressibleByArgument {
  let timestamp: GoogleProtobuf.Timestamp

  init?(argument: String) {
    if let span = try? TimeSpan(parsing: argument) {
      timestamp = GoogleProtobuf.Timestamp(seconds: Int64(time(nil)) + span.seconds)
    } else if let date = try? Date(argument, strategy: .iso8601) {
      timestamp = GoogleProtobuf.Timestamp(seconds: Int64(date.timeIntervalSince1970))
    } else {
      return nil
    }
  }
}

/// A moment of the past: a revision, or a time.
enum PastMoment: Equatable, ExpressibleByArgument {
  case revision(UInt64)
  case time(GoogleProtobuf.Timestamp)

  init?(argument: String) {
    if let revision = UInt64(argument) {
      guard revision > 0 else { return nil }
      self = .revision(revision)
    } else if let date = try? Date(argument, strategy: .iso8601) {
      self = .time(GoogleProtobuf.Timestamp(seconds: Int64(date.timeIntervalSince1970)))
    } else {
      return nil
    }
  }
}
