import TenancyConditions

extension PolicyConditions {
  /// What is wrong with a condition, as `line:column: message`; nil: nothing.
  package static func problem(with source: String) -> String? {
    do throws(ConditionError) {
      _ = try compile(source)
      return nil
    } catch {
      return error.description
    }
  }
}
