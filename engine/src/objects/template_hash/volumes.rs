//! The Go structs of the volumes of a pod template.

use k8s_openapi::api::core::v1::*;

use super::{Body, go_struct, is_pointer};

go_struct!(Volume {
    name "Name" "string";
    "VolumeSource" {
        host_path "HostPath" "*v1.HostPathVolumeSource",
        empty_dir "EmptyDir" "*v1.EmptyDirVolumeSource",
        gce_persistent_disk "GCEPersistentDisk" "*v1.GCEPersistentDiskVolumeSource",
        aws_elastic_block_store "AWSElasticBlockStore" "*v1.AWSElasticBlockStoreVolumeSource",
        git_repo "GitRepo" "*v1.GitRepoVolumeSource",
        secret "Secret" "*v1.SecretVolumeSource",
        nfs "NFS" "*v1.NFSVolumeSource",
        iscsi "ISCSI" "*v1.ISCSIVolumeSource",
        glusterfs "Glusterfs" "*v1.GlusterfsVolumeSource",
        persistent_volume_claim "PersistentVolumeClaim" "*v1.PersistentVolumeClaimVolumeSource",
        rbd "RBD" "*v1.RBDVolumeSource",
        flex_volume "FlexVolume" "*v1.FlexVolumeSource",
        cinder "Cinder" "*v1.CinderVolumeSource",
        cephfs "CephFS" "*v1.CephFSVolumeSource",
        flocker "Flocker" "*v1.FlockerVolumeSource",
        downward_api "DownwardAPI" "*v1.DownwardAPIVolumeSource",
        fc "FC" "*v1.FCVolumeSource",
        azure_file "AzureFile" "*v1.AzureFileVolumeSource",
        config_map "ConfigMap" "*v1.ConfigMapVolumeSource",
        vsphere_volume "VsphereVolume" "*v1.VsphereVirtualDiskVolumeSource",
        quobyte "Quobyte" "*v1.QuobyteVolumeSource",
        azure_disk "AzureDisk" "*v1.AzureDiskVolumeSource",
        photon_persistent_disk "PhotonPersistentDisk" "*v1.PhotonPersistentDiskVolumeSource",
        projected "Projected" "*v1.ProjectedVolumeSource",
        portworx_volume "PortworxVolume" "*v1.PortworxVolumeSource",
        scale_io "ScaleIO" "*v1.ScaleIOVolumeSource",
        storageos "StorageOS" "*v1.StorageOSVolumeSource",
        csi "CSI" "*v1.CSIVolumeSource",
        ephemeral "Ephemeral" "*v1.EphemeralVolumeSource",
        image "Image" "*v1.ImageVolumeSource",
    };
});

go_struct!(HostPathVolumeSource { path "Path" "string", type_ "Type" "*v1.HostPathType" });
go_struct!(EmptyDirVolumeSource { medium "Medium" "v1.StorageMedium", size_limit "SizeLimit" "*resource.Quantity" });
go_struct!(GCEPersistentDiskVolumeSource {
    pd_name "PDName" "string",
    fs_type "FSType" "string",
    partition "Partition" "int32",
    read_only "ReadOnly" "bool",
});
go_struct!(AWSElasticBlockStoreVolumeSource {
    volume_id "VolumeID" "string",
    fs_type "FSType" "string",
    partition "Partition" "int32",
    read_only "ReadOnly" "bool",
});
go_struct!(GitRepoVolumeSource {
    repository "Repository" "string",
    revision "Revision" "string",
    directory "Directory" "string",
});
go_struct!(SecretVolumeSource {
    secret_name "SecretName" "string",
    items "Items" "[]v1.KeyToPath",
    default_mode "DefaultMode" "*int32",
    optional "Optional" "*bool",
});
go_struct!(KeyToPath { key "Key" "string", path "Path" "string", mode "Mode" "*int32" });
go_struct!(NFSVolumeSource { server "Server" "string", path "Path" "string", read_only "ReadOnly" "bool" });
go_struct!(ISCSIVolumeSource {
    target_portal "TargetPortal" "string",
    iqn "IQN" "string",
    lun "Lun" "int32",
    iscsi_interface "ISCSIInterface" "string",
    fs_type "FSType" "string",
    read_only "ReadOnly" "bool",
    portals "Portals" "[]string",
    chap_auth_discovery "DiscoveryCHAPAuth" "bool",
    chap_auth_session "SessionCHAPAuth" "bool",
    secret_ref "SecretRef" "*v1.LocalObjectReference",
    initiator_name "InitiatorName" "*string",
});
go_struct!(GlusterfsVolumeSource {
    endpoints "EndpointsName" "string",
    path "Path" "string",
    read_only "ReadOnly" "bool",
});
go_struct!(PersistentVolumeClaimVolumeSource { claim_name "ClaimName" "string", read_only "ReadOnly" "bool" });
go_struct!(RBDVolumeSource {
    monitors "CephMonitors" "[]string",
    image "RBDImage" "string",
    fs_type "FSType" "string",
    pool "RBDPool" "string",
    user "RadosUser" "string",
    keyring "Keyring" "string",
    secret_ref "SecretRef" "*v1.LocalObjectReference",
    read_only "ReadOnly" "bool",
});
go_struct!(FlexVolumeSource {
    driver "Driver" "string",
    fs_type "FSType" "string",
    secret_ref "SecretRef" "*v1.LocalObjectReference",
    read_only "ReadOnly" "bool",
    options "Options" "map[string]string",
});
go_struct!(CinderVolumeSource {
    volume_id "VolumeID" "string",
    fs_type "FSType" "string",
    read_only "ReadOnly" "bool",
    secret_ref "SecretRef" "*v1.LocalObjectReference",
});
go_struct!(CephFSVolumeSource {
    monitors "Monitors" "[]string",
    path "Path" "string",
    user "User" "string",
    secret_file "SecretFile" "string",
    secret_ref "SecretRef" "*v1.LocalObjectReference",
    read_only "ReadOnly" "bool",
});
go_struct!(FlockerVolumeSource { dataset_name "DatasetName" "string", dataset_uuid "DatasetUUID" "string" });
go_struct!(DownwardAPIVolumeSource {
    items "Items" "[]v1.DownwardAPIVolumeFile",
    default_mode "DefaultMode" "*int32",
});
go_struct!(DownwardAPIVolumeFile {
    path "Path" "string",
    field_ref "FieldRef" "*v1.ObjectFieldSelector",
    resource_field_ref "ResourceFieldRef" "*v1.ResourceFieldSelector",
    mode "Mode" "*int32",
});
go_struct!(FCVolumeSource {
    target_wwns "TargetWWNs" "[]string",
    lun "Lun" "*int32",
    fs_type "FSType" "string",
    read_only "ReadOnly" "bool",
    wwids "WWIDs" "[]string",
});
go_struct!(AzureFileVolumeSource {
    secret_name "SecretName" "string",
    share_name "ShareName" "string",
    read_only "ReadOnly" "bool",
});
go_struct!(ConfigMapVolumeSource {
    ;
    "LocalObjectReference" { name "Name" "string" };
    items "Items" "[]v1.KeyToPath",
    default_mode "DefaultMode" "*int32",
    optional "Optional" "*bool",
});
go_struct!(VsphereVirtualDiskVolumeSource {
    volume_path "VolumePath" "string",
    fs_type "FSType" "string",
    storage_policy_name "StoragePolicyName" "string",
    storage_policy_id "StoragePolicyID" "string",
});
go_struct!(QuobyteVolumeSource {
    registry "Registry" "string",
    volume "Volume" "string",
    read_only "ReadOnly" "bool",
    user "User" "string",
    group "Group" "string",
    tenant "Tenant" "string",
});
go_struct!(AzureDiskVolumeSource {
    disk_name "DiskName" "string",
    disk_uri "DataDiskURI" "string",
    caching_mode "CachingMode" "*v1.AzureDataDiskCachingMode",
    fs_type "FSType" "*string",
    read_only "ReadOnly" "*bool",
    kind "Kind" "*v1.AzureDataDiskKind",
});
go_struct!(PhotonPersistentDiskVolumeSource { pd_id "PdID" "string", fs_type "FSType" "string" });
go_struct!(PortworxVolumeSource {
    volume_id "VolumeID" "string",
    fs_type "FSType" "string",
    read_only "ReadOnly" "bool",
});
go_struct!(ScaleIOVolumeSource {
    gateway "Gateway" "string",
    system "System" "string",
    secret_ref "SecretRef" "*v1.LocalObjectReference",
    ssl_enabled "SSLEnabled" "bool",
    protection_domain "ProtectionDomain" "string",
    storage_pool "StoragePool" "string",
    storage_mode "StorageMode" "string",
    volume_name "VolumeName" "string",
    fs_type "FSType" "string",
    read_only "ReadOnly" "bool",
});
go_struct!(StorageOSVolumeSource {
    volume_name "VolumeName" "string",
    volume_namespace "VolumeNamespace" "string",
    fs_type "FSType" "string",
    read_only "ReadOnly" "bool",
    secret_ref "SecretRef" "*v1.LocalObjectReference",
});
go_struct!(CSIVolumeSource {
    driver "Driver" "string",
    read_only "ReadOnly" "*bool",
    fs_type "FSType" "*string",
    volume_attributes "VolumeAttributes" "map[string]string",
    node_publish_secret_ref "NodePublishSecretRef" "*v1.LocalObjectReference",
});
go_struct!(ImageVolumeSource { reference "Reference" "string", pull_policy "PullPolicy" "v1.PullPolicy" });

go_struct!(ProjectedVolumeSource { sources "Sources" "[]v1.VolumeProjection", default_mode "DefaultMode" "*int32" });
go_struct!(VolumeProjection {
    secret "Secret" "*v1.SecretProjection",
    downward_api "DownwardAPI" "*v1.DownwardAPIProjection",
    config_map "ConfigMap" "*v1.ConfigMapProjection",
    service_account_token "ServiceAccountToken" "*v1.ServiceAccountTokenProjection",
    cluster_trust_bundle "ClusterTrustBundle" "*v1.ClusterTrustBundleProjection",
    pod_certificate "PodCertificate" "*v1.PodCertificateProjection",
});
go_struct!(SecretProjection {
    ;
    "LocalObjectReference" { name "Name" "string" };
    items "Items" "[]v1.KeyToPath",
    optional "Optional" "*bool",
});
go_struct!(DownwardAPIProjection { items "Items" "[]v1.DownwardAPIVolumeFile" });
go_struct!(ConfigMapProjection {
    ;
    "LocalObjectReference" { name "Name" "string" };
    items "Items" "[]v1.KeyToPath",
    optional "Optional" "*bool",
});
go_struct!(ServiceAccountTokenProjection {
    audience "Audience" "string",
    expiration_seconds "ExpirationSeconds" "*int64",
    path "Path" "string",
});
go_struct!(ClusterTrustBundleProjection {
    name "Name" "*string",
    signer_name "SignerName" "*string",
    label_selector "LabelSelector" "*v1.LabelSelector",
    optional "Optional" "*bool",
    path "Path" "string",
});
go_struct!(PodCertificateProjection {
    signer_name "SignerName" "string",
    key_type "KeyType" "string",
    max_expiration_seconds "MaxExpirationSeconds" "*int32",
    credential_bundle_path "CredentialBundlePath" "string",
    key_path "KeyPath" "string",
    certificate_chain_path "CertificateChainPath" "string",
    user_annotations "UserAnnotations" "map[string]string",
});

go_struct!(EphemeralVolumeSource {
    volume_claim_template "VolumeClaimTemplate" "*v1.PersistentVolumeClaimTemplate",
});
go_struct!(PersistentVolumeClaimTemplate {
    metadata "ObjectMeta" "v1.ObjectMeta",
    spec "Spec" "v1.PersistentVolumeClaimSpec",
});
go_struct!(PersistentVolumeClaimSpec {
    access_modes "AccessModes" "[]v1.PersistentVolumeAccessMode",
    selector "Selector" "*v1.LabelSelector",
    resources "Resources" "v1.VolumeResourceRequirements",
    volume_name "VolumeName" "string",
    storage_class_name "StorageClassName" "*string",
    volume_mode "VolumeMode" "*v1.PersistentVolumeMode",
    data_source "DataSource" "*v1.TypedLocalObjectReference",
    data_source_ref "DataSourceRef" "*v1.TypedObjectReference",
    volume_attributes_class_name "VolumeAttributesClassName" "*string",
});
go_struct!(VolumeResourceRequirements { limits "Limits" "v1.ResourceList", requests "Requests" "v1.ResourceList" });
go_struct!(TypedLocalObjectReference { api_group "APIGroup" "*string", kind "Kind" "string", name "Name" "string" });
go_struct!(TypedObjectReference {
    api_group "APIGroup" "*string",
    kind "Kind" "string",
    name "Name" "string",
    namespace "Namespace" "*string",
});
