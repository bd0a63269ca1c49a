import ArgumentParser
import TenancyWire

/// Isolation models by their short names.
enum Isolation: String, ExpressibleByArgument, CaseIterable {
  case database, schema, shared, hybrid

  var model: V1.IsolationModel {
    switch self {
    case .database: .database
    case .schema: .schema
    case .shared: .shared
    case .hybrid: .hybrid
    }
  }
}
