//! The Go structs of a pod template but for volumes: their fields in the order of the source, with their types.

use k8s_openapi::api::core::v1::*;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{
    LabelSelector, LabelSelectorRequirement, ObjectMeta, OwnerReference,
};

use super::{Body, go_struct, is_pointer};

go_struct!(PodTemplateSpec { metadata "ObjectMeta" "v1.ObjectMeta", spec "Spec" "v1.PodSpec" });

impl Body for ObjectMeta {
    fn body(&self, _: bool, out: &mut dyn FnMut(&str)) {
        let ObjectMeta { name, generate_name, namespace, self_link, uid, resource_version, .. } = self;
        let texts = [
            ("{Name:(string)", name),
            (" GenerateName:(string)", generate_name),
            (" Namespace:(string)", namespace),
            (" SelfLink:(string)", self_link),
            (" UID:(types.UID)", uid),
            (" ResourceVersion:(string)", resource_version),
        ];
        for (name, text) in texts {
            out(name);
            text.body(false, out);
        }
        out(" Generation:(int64)");
        self.generation.body(false, out);
        out(" CreationTimestamp:(v1.Time)");
        self.creation_timestamp.body(false, out);
        out(" DeletionTimestamp:(*v1.Time)<nil> DeletionGracePeriodSeconds:(*int64)");
        self.deletion_grace_period_seconds.body(true, out);
        out(" Labels:(map[string]string)");
        self.labels.body(false, out);
        out(" Annotations:(map[string]string)");
        self.annotations.body(false, out);
        out(" OwnerReferences:([]v1.OwnerReference)");
        self.owner_references.body(false, out);
        out(" Finalizers:([]string)");
        self.finalizers.body(false, out);
        out(" ManagedFields:([]v1.ManagedFieldsEntry)<nil>}");
    }
}

go_struct!(OwnerReference {
    api_version "APIVersion" "string",
    kind "Kind" "string",
    name "Name" "string",
    uid "UID" "types.UID",
    controller "Controller" "*bool",
    block_owner_deletion "BlockOwnerDeletion" "*bool",
});

go_struct!(PodSpec {
    volumes "Volumes" "[]v1.Volume",
    init_containers "InitContainers" "[]v1.Container",
    containers "Containers" "[]v1.Container",
    ephemeral_containers "EphemeralContainers" "[]v1.EphemeralContainer",
    restart_policy "RestartPolicy" "v1.RestartPolicy",
    termination_grace_period_seconds "TerminationGracePeriodSeconds" "*int64",
    active_deadline_seconds "ActiveDeadlineSeconds" "*int64",
    dns_policy "DNSPolicy" "v1.DNSPolicy",
    node_selector "NodeSelector" "map[string]string",
    service_account_name "ServiceAccountName" "string",
    service_account "DeprecatedServiceAccount" "string",
    automount_service_account_token "AutomountServiceAccountToken" "*bool",
    node_name "NodeName" "string",
    host_network "HostNetwork" "bool",
    host_pid "HostPID" "bool",
    host_ipc "HostIPC" "bool",
    share_process_namespace "ShareProcessNamespace" "*bool",
    security_context "SecurityContext" "*v1.PodSecurityContext",
    image_pull_secrets "ImagePullSecrets" "[]v1.LocalObjectReference",
    hostname "Hostname" "string",
    subdomain "Subdomain" "string",
    affinity "Affinity" "*v1.Affinity",
    scheduler_name "SchedulerName" "string",
    tolerations "Tolerations" "[]v1.Toleration",
    host_aliases "HostAliases" "[]v1.HostAlias",
    priority_class_name "PriorityClassName" "string",
    priority "Priority" "*int32",
    dns_config "DNSConfig" "*v1.PodDNSConfig",
    readiness_gates "ReadinessGates" "[]v1.PodReadinessGate",
    runtime_class_name "RuntimeClassName" "*string",
    enable_service_links "EnableServiceLinks" "*bool",
    preemption_policy "PreemptionPolicy" "*v1.PreemptionPolicy",
    overhead "Overhead" "v1.ResourceList",
    topology_spread_constraints "TopologySpreadConstraints" "[]v1.TopologySpreadConstraint",
    set_hostname_as_fqdn "SetHostnameAsFQDN" "*bool",
    os "OS" "*v1.PodOS",
    host_users "HostUsers" "*bool",
    scheduling_gates "SchedulingGates" "[]v1.PodSchedulingGate",
    resource_claims "ResourceClaims" "[]v1.PodResourceClaim",
    resources "Resources" "*v1.ResourceRequirements",
    hostname_override "HostnameOverride" "*string",
    scheduling_group "SchedulingGroup" "*v1.PodSchedulingGroup",
});

go_struct!(Container {
    name "Name" "string",
    image "Image" "string",
    command "Command" "[]string",
    args "Args" "[]string",
    working_dir "WorkingDir" "string",
    ports "Ports" "[]v1.ContainerPort",
    env_from "EnvFrom" "[]v1.EnvFromSource",
    env "Env" "[]v1.EnvVar",
    resources "Resources" "v1.ResourceRequirements",
    resize_policy "ResizePolicy" "[]v1.ContainerResizePolicy",
    restart_policy "RestartPolicy" "*v1.ContainerRestartPolicy",
    restart_policy_rules "RestartPolicyRules" "[]v1.ContainerRestartRule",
    volume_mounts "VolumeMounts" "[]v1.VolumeMount",
    volume_devices "VolumeDevices" "[]v1.VolumeDevice",
    liveness_probe "LivenessProbe" "*v1.Probe",
    readiness_probe "ReadinessProbe" "*v1.Probe",
    startup_probe "StartupProbe" "*v1.Probe",
    lifecycle "Lifecycle" "*v1.Lifecycle",
    termination_message_path "TerminationMessagePath" "string",
    termination_message_policy "TerminationMessagePolicy" "v1.TerminationMessagePolicy",
    image_pull_policy "ImagePullPolicy" "v1.PullPolicy",
    security_context "SecurityContext" "*v1.SecurityContext",
    stdin "Stdin" "bool",
    stdin_once "StdinOnce" "bool",
    tty "TTY" "bool",
});

impl Body for EphemeralContainer {
    /// Validation allows none in a template.
    fn body(&self, _: bool, out: &mut dyn FnMut(&str)) {
        out("{}");
    }
}

go_struct!(ContainerPort {
    name "Name" "string",
    host_port "HostPort" "int32",
    container_port "ContainerPort" "int32",
    protocol "Protocol" "v1.Protocol",
    host_ip "HostIP" "string",
});

go_struct!(EnvFromSource {
    prefix "Prefix" "string",
    config_map_ref "ConfigMapRef" "*v1.ConfigMapEnvSource",
    secret_ref "SecretRef" "*v1.SecretEnvSource",
});
go_struct!(ConfigMapEnvSource { ; "LocalObjectReference" { name "Name" "string" }; optional "Optional" "*bool" });
go_struct!(SecretEnvSource { ; "LocalObjectReference" { name "Name" "string" }; optional "Optional" "*bool" });

go_struct!(EnvVar { name "Name" "string", value "Value" "string", value_from "ValueFrom" "*v1.EnvVarSource" });
go_struct!(EnvVarSource {
    field_ref "FieldRef" "*v1.ObjectFieldSelector",
    resource_field_ref "ResourceFieldRef" "*v1.ResourceFieldSelector",
    config_map_key_ref "ConfigMapKeyRef" "*v1.ConfigMapKeySelector",
    secret_key_ref "SecretKeyRef" "*v1.SecretKeySelector",
    file_key_ref "FileKeyRef" "*v1.FileKeySelector",
});
go_struct!(ObjectFieldSelector { api_version "APIVersion" "string", field_path "FieldPath" "string" });
go_struct!(ResourceFieldSelector {
    container_name "ContainerName" "string",
    resource "Resource" "string",
    divisor "Divisor" "resource.Quantity",
});
go_struct!(ConfigMapKeySelector {
    ; "LocalObjectReference" { name "Name" "string" }; key "Key" "string", optional "Optional" "*bool",
});
go_struct!(SecretKeySelector {
    ; "LocalObjectReference" { name "Name" "string" }; key "Key" "string", optional "Optional" "*bool",
});
go_struct!(FileKeySelector {
    volume_name "VolumeName" "string",
    path "Path" "string",
    key "Key" "string",
    optional "Optional" "*bool",
});

go_struct!(ResourceRequirements {
    limits "Limits" "v1.ResourceList",
    requests "Requests" "v1.ResourceList",
    claims "Claims" "[]v1.ResourceClaim",
});
go_struct!(ResourceClaim { name "Name" "string", request "Request" "string" });
go_struct!(ContainerResizePolicy {
    resource_name "ResourceName" "v1.ResourceName",
    restart_policy "RestartPolicy" "v1.ResourceResizeRestartPolicy",
});
go_struct!(ContainerRestartRule {
    action "Action" "v1.ContainerRestartRuleAction",
    exit_codes "ExitCodes" "*v1.ContainerRestartRuleOnExitCodes",
});
go_struct!(ContainerRestartRuleOnExitCodes {
    operator "Operator" "v1.ContainerRestartRuleOnExitCodesOperator",
    values "Values" "[]int32",
});

go_struct!(VolumeMount {
    name "Name" "string",
    read_only "ReadOnly" "bool",
    recursive_read_only "RecursiveReadOnly" "*v1.RecursiveReadOnlyMode",
    mount_path "MountPath" "string",
    sub_path "SubPath" "string",
    mount_propagation "MountPropagation" "*v1.MountPropagationMode",
    sub_path_expr "SubPathExpr" "string",
});
go_struct!(VolumeDevice { name "Name" "string", device_path "DevicePath" "string" });

go_struct!(Probe {
    ;
    "ProbeHandler" {
        exec "Exec" "*v1.ExecAction",
        http_get "HTTPGet" "*v1.HTTPGetAction",
        tcp_socket "TCPSocket" "*v1.TCPSocketAction",
        grpc "GRPC" "*v1.GRPCAction",
    };
    initial_delay_seconds "InitialDelaySeconds" "int32",
    timeout_seconds "TimeoutSeconds" "int32",
    period_seconds "PeriodSeconds" "int32",
    success_threshold "SuccessThreshold" "int32",
    failure_threshold "FailureThreshold" "int32",
    termination_grace_period_seconds "TerminationGracePeriodSeconds" "*int64",
});
go_struct!(Lifecycle {
    post_start "PostStart" "*v1.LifecycleHandler",
    pre_stop "PreStop" "*v1.LifecycleHandler",
    stop_signal "StopSignal" "*v1.Signal",
});
go_struct!(LifecycleHandler {
    exec "Exec" "*v1.ExecAction",
    http_get "HTTPGet" "*v1.HTTPGetAction",
    tcp_socket "TCPSocket" "*v1.TCPSocketAction",
    sleep "Sleep" "*v1.SleepAction",
});
go_struct!(ExecAction { command "Command" "[]string" });
go_struct!(HTTPGetAction {
    path "Path" "string",
    port "Port" "intstr.IntOrString",
    host "Host" "string",
    scheme "Scheme" "v1.URIScheme",
    http_headers "HTTPHeaders" "[]v1.HTTPHeader",
});
go_struct!(HTTPHeader { name "Name" "string", value "Value" "string" });
go_struct!(TCPSocketAction { port "Port" "intstr.IntOrString", host "Host" "string" });
go_struct!(GRPCAction { port "Port" "int32", service "Service" "*string" });
go_struct!(SleepAction { seconds "Seconds" "int64" });

go_struct!(SecurityContext {
    capabilities "Capabilities" "*v1.Capabilities",
    privileged "Privileged" "*bool",
    se_linux_options "SELinuxOptions" "*v1.SELinuxOptions",
    windows_options "WindowsOptions" "*v1.WindowsSecurityContextOptions",
    run_as_user "RunAsUser" "*int64",
    run_as_group "RunAsGroup" "*int64",
    run_as_non_root "RunAsNonRoot" "*bool",
    read_only_root_filesystem "ReadOnlyRootFilesystem" "*bool",
    allow_privilege_escalation "AllowPrivilegeEscalation" "*bool",
    proc_mount "ProcMount" "*v1.ProcMountType",
    seccomp_profile "SeccompProfile" "*v1.SeccompProfile",
    app_armor_profile "AppArmorProfile" "*v1.AppArmorProfile",
});
go_struct!(PodSecurityContext {
    se_linux_options "SELinuxOptions" "*v1.SELinuxOptions",
    windows_options "WindowsOptions" "*v1.WindowsSecurityContextOptions",
    run_as_user "RunAsUser" "*int64",
    run_as_group "RunAsGroup" "*int64",
    run_as_non_root "RunAsNonRoot" "*bool",
    supplemental_groups "SupplementalGroups" "[]int64",
    supplemental_groups_policy "SupplementalGroupsPolicy" "*v1.SupplementalGroupsPolicy",
    fs_group "FSGroup" "*int64",
    sysctls "Sysctls" "[]v1.Sysctl",
    fs_group_change_policy "FSGroupChangePolicy" "*v1.PodFSGroupChangePolicy",
    seccomp_profile "SeccompProfile" "*v1.SeccompProfile",
    app_armor_profile "AppArmorProfile" "*v1.AppArmorProfile",
    se_linux_change_policy "SELinuxChangePolicy" "*v1.PodSELinuxChangePolicy",
});
go_struct!(Capabilities { add "Add" "[]v1.Capability", drop "Drop" "[]v1.Capability" });
go_struct!(SELinuxOptions {
    user "User" "string",
    role "Role" "string",
    type_ "Type" "string",
    level "Level" "string",
});
go_struct!(WindowsSecurityContextOptions {
    gmsa_credential_spec_name "GMSACredentialSpecName" "*string",
    gmsa_credential_spec "GMSACredentialSpec" "*string",
    run_as_user_name "RunAsUserName" "*string",
    host_process "HostProcess" "*bool",
});
go_struct!(SeccompProfile { type_ "Type" "v1.SeccompProfileType", localhost_profile "LocalhostProfile" "*string" });
go_struct!(AppArmorProfile { type_ "Type" "v1.AppArmorProfileType", localhost_profile "LocalhostProfile" "*string" });
go_struct!(Sysctl { name "Name" "string", value "Value" "string" });

go_struct!(Affinity {
    node_affinity "NodeAffinity" "*v1.NodeAffinity",
    pod_affinity "PodAffinity" "*v1.PodAffinity",
    pod_anti_affinity "PodAntiAffinity" "*v1.PodAntiAffinity",
});
go_struct!(NodeAffinity {
    required_during_scheduling_ignored_during_execution
        "RequiredDuringSchedulingIgnoredDuringExecution" "*v1.NodeSelector",
    preferred_during_scheduling_ignored_during_execution
        "PreferredDuringSchedulingIgnoredDuringExecution" "[]v1.PreferredSchedulingTerm",
});
go_struct!(NodeSelector { node_selector_terms "NodeSelectorTerms" "[]v1.NodeSelectorTerm" });
go_struct!(NodeSelectorTerm {
    match_expressions "MatchExpressions" "[]v1.NodeSelectorRequirement",
    match_fields "MatchFields" "[]v1.NodeSelectorRequirement",
});
go_struct!(NodeSelectorRequirement {
    key "Key" "string",
    operator "Operator" "v1.NodeSelectorOperator",
    values "Values" "[]string",
});
go_struct!(PreferredSchedulingTerm { weight "Weight" "int32", preference "Preference" "v1.NodeSelectorTerm" });
go_struct!(PodAffinity {
    required_during_scheduling_ignored_during_execution
        "RequiredDuringSchedulingIgnoredDuringExecution" "[]v1.PodAffinityTerm",
    preferred_during_scheduling_ignored_during_execution
        "PreferredDuringSchedulingIgnoredDuringExecution" "[]v1.WeightedPodAffinityTerm",
});
go_struct!(PodAntiAffinity {
    required_during_scheduling_ignored_during_execution
        "RequiredDuringSchedulingIgnoredDuringExecution" "[]v1.PodAffinityTerm",
    preferred_during_scheduling_ignored_during_execution
        "PreferredDuringSchedulingIgnoredDuringExecution" "[]v1.WeightedPodAffinityTerm",
});
go_struct!(WeightedPodAffinityTerm {
    weight "Weight" "int32",
    pod_affinity_term "PodAffinityTerm" "v1.PodAffinityTerm",
});
go_struct!(PodAffinityTerm {
    label_selector "LabelSelector" "*v1.LabelSelector",
    namespaces "Namespaces" "[]string",
    topology_key "TopologyKey" "string",
    namespace_selector "NamespaceSelector" "*v1.LabelSelector",
    match_label_keys "MatchLabelKeys" "[]string",
    mismatch_label_keys "MismatchLabelKeys" "[]string",
});
go_struct!(LabelSelector {
    match_labels "MatchLabels" "map[string]string",
    match_expressions "MatchExpressions" "[]v1.LabelSelectorRequirement",
});
go_struct!(LabelSelectorRequirement {
    key "Key" "string",
    operator "Operator" "v1.LabelSelectorOperator",
    values "Values" "[]string",
});
go_struct!(TopologySpreadConstraint {
    max_skew "MaxSkew" "int32",
    topology_key "TopologyKey" "string",
    when_unsatisfiable "WhenUnsatisfiable" "v1.UnsatisfiableConstraintAction",
    label_selector "LabelSelector" "*v1.LabelSelector",
    min_domains "MinDomains" "*int32",
    node_affinity_policy "NodeAffinityPolicy" "*v1.NodeInclusionPolicy",
    node_taints_policy "NodeTaintsPolicy" "*v1.NodeInclusionPolicy",
    match_label_keys "MatchLabelKeys" "[]string",
});
go_struct!(Toleration {
    key "Key" "string",
    operator "Operator" "v1.TolerationOperator",
    value "Value" "string",
    effect "Effect" "v1.TaintEffect",
    toleration_seconds "TolerationSeconds" "*int64",
});

go_struct!(HostAlias { ip "IP" "string", hostnames "Hostnames" "[]string" });
go_struct!(PodDNSConfig {
    nameservers "Nameservers" "[]string",
    searches "Searches" "[]string",
    options "Options" "[]v1.PodDNSConfigOption",
});
go_struct!(PodDNSConfigOption { name "Name" "string", value "Value" "*string" });
go_struct!(PodReadinessGate { condition_type "ConditionType" "v1.PodConditionType" });
go_struct!(PodOS { name "Name" "v1.OSName" });
go_struct!(PodSchedulingGate { name "Name" "string" });
go_struct!(PodResourceClaim {
    name "Name" "string",
    resource_claim_name "ResourceClaimName" "*string",
    resource_claim_template_name "ResourceClaimTemplateName" "*string",
});
go_struct!(PodSchedulingGroup { pod_group_name "PodGroupName" "*string" });
go_struct!(LocalObjectReference { name "Name" "string" });
