// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @dev One event for every change of policy, whatever its kind, so that an
/// audit needs one topic only.
abstract contract PolicyEvents {
    /// @param actor who changed it; during a factory deployment, the KMS contract
    /// @param policy keccak256 of the policy's name, such as "compose-hash"
    /// @param value what was changed: a hash, a device, an address padded on
    /// the left, the digest of longer content, or zero for a plain flag
    /// @param enabled whether the value is now in force
    event PolicyChanged(address indexed actor, bytes32 indexed policy, bytes32 indexed value, bool enabled);

    function _policyChanged(bytes32 policy, bytes32 value, bool enabled) internal {
        emit PolicyChanged(msg.sender, policy, value, enabled);
    }

    function _word(address account) internal pure returns (bytes32) {
        return bytes32(uint256(uint160(account)));
    }
}
