// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @title What a KMS asks before it hands an app its keys.
/// @notice Any contract that answers this interface may act as an app's
/// authority; DstackKms forwards the question to the app's own contract.
/// The ERC-165 id is the selector of isAppAllowed, 0x1e079198.
interface IAppAuth {
    /// @dev What a booting instance measured about itself. The order of the
    /// members is the ABI.
    struct AppBootInfo {
        address appId;
        bytes32 composeHash;
        address instanceId;
        bytes32 deviceId;
        bytes32 mrAggregated;
        bytes32 mrSystem;
        bytes32 osImageHash;
        string tcbStatus;
        string[] advisoryIds;
    }

    /// @return isAllowed whether the instance may boot
    /// @return reason why not; empty when it may
    function isAppAllowed(AppBootInfo calldata bootInfo)
        external
        view
        returns (bool isAllowed, string memory reason);
}
